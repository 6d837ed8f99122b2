/** DNS over TCP: each message stands after its length in two bytes (RFC 7766). */

/** With its length in front, in one piece. */
export function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(2 + message.length);
  new DataView(bytes.buffer).setUint16(0, message.length);
  bytes.set(message, 2);
  return bytes;
}

/** Takes what arrives, however it is cut, and hands out whole messages. Holds at most one message. */
export function createFrameReader(onMessage: (message: Uint8Array) => void): (chunk: Uint8Array) => void {
  let held: Uint8Array = new Uint8Array();
  return (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (;;) {
      const [high, low] = held;
      if (high === undefined || low === undefined) return;
      const end = 2 + high * 256 + low;
      if (held.length < end) return;
      const message = held.slice(2, end);
      held = held.slice(end);
      onMessage(message);
    }
  };
}
