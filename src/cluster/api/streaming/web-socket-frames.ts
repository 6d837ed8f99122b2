/** WebSocket frames as a server reads and writes them (RFC 6455 section 5), without ever holding a whole message. */

/** A part of a message, or a whole control frame. */
export type Fragment =
  | {
      readonly kind: "data";
      /** Whether these are the first bytes of a message. A message without bytes is one empty fragment. */
      readonly isFirst: boolean;
      readonly isLast: boolean;
      readonly bytes: Buffer;
    }
  | { readonly kind: "ping" | "pong" | "close"; readonly bytes: Buffer };

/** What the peer did against the protocol; `closeCode` says so to it (RFC 6455 section 7.4.1). */
export class WebSocketError extends Error {
  readonly closeCode: number;

  constructor(closeCode: number, message: string) {
    super(message);
    this.name = "WebSocketError";
    this.closeCode = closeCode;
  }
}

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CONTROL = { 8: "close", 9: "ping", 10: "pong" } as const;
const MAX_CONTROL_BYTES = 125;
const PROTOCOL_ERROR = 1002;

interface OpenFrame {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly mask: Buffer;
  /** Of the payload, still to come. */
  left: number;
  /** Of the payload, already unmasked. */
  done: number;
}

/** Takes the bytes as they come. Every frame of a client has to be masked (section 5.1). */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);
  #frame: OpenFrame | undefined;
  #control: Buffer[] = [];
  #isInMessage = false;
  #isMessageStart = false;

  /** What the chunk completes. Throws `WebSocketError`; then nothing more can be read. */
  *read(chunk: Buffer): Generator<Fragment> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = Buffer.alloc(0);
    for (;;) {
      if (this.#frame === undefined) {
        const size = headerSize(bytes);
        if (size === undefined || bytes.length < size) break;
        this.#frame = this.#open(bytes.subarray(0, size));
        bytes = bytes.subarray(size);
      }
      const frame = this.#frame;
      const taken = Math.min(frame.left, bytes.length);
      const payload = bytes.subarray(0, taken);
      bytes = bytes.subarray(taken);
      unmask(payload, frame);
      frame.left -= taken;
      const isWhole = frame.left === 0;
      if (taken > 0 || isWhole) yield* this.#fragment(frame, payload, isWhole);
      if (!isWhole) break;
      this.#frame = undefined;
    }
    // A copy: a few bytes must not keep the whole chunk.
    if (bytes.length > 0) this.#rest = Buffer.from(bytes);
  }

  #open(header: Buffer): OpenFrame {
    const first = header.readUInt8(0);
    const opcode = first & 0x0f;
    const isFinal = (first & 0x80) !== 0;
    const left = payloadLength(header);
    if ((first & 0x70) !== 0) throw protocolError("reserved bits are set");
    if ((header.readUInt8(1) & 0x80) === 0) throw protocolError("a client's frame is not masked");
    if (opcode >= 8) {
      if (!(opcode in CONTROL)) throw protocolError(`opcode ${opcode} is unknown`);
      if (!isFinal || left > MAX_CONTROL_BYTES)
        throw protocolError("a control frame is fragmented or too long");
    } else if (opcode === CONTINUATION) {
      if (!this.#isInMessage) throw protocolError("a message continues that has not begun");
    } else if (opcode === TEXT || opcode === BINARY) {
      if (this.#isInMessage) throw protocolError("a message begins inside another");
      this.#isInMessage = true;
      this.#isMessageStart = true;
    } else throw protocolError(`opcode ${opcode} is unknown`);
    return { opcode, isFinal, mask: Buffer.from(header.subarray(-4)), left, done: 0 };
  }

  *#fragment({ opcode, isFinal }: OpenFrame, bytes: Buffer, isWhole: boolean): Generator<Fragment> {
    if (opcode >= 8) {
      this.#control.push(Buffer.from(bytes));
      if (isWhole) {
        yield {
          kind: CONTROL[opcode as keyof typeof CONTROL],
          bytes: Buffer.concat(this.#control.splice(0)),
        };
      }
      return;
    }
    const isLast = isWhole && isFinal;
    if (bytes.length === 0 && !isLast) return;
    const isFirst = this.#isMessageStart;
    this.#isMessageStart = false;
    if (isLast) this.#isInMessage = false;
    yield { kind: "data", isFirst, isLast, bytes };
  }
}

function protocolError(message: string): WebSocketError {
  return new WebSocketError(PROTOCOL_ERROR, message);
}

/** Of the header with the mask; undefined while too little of it is there to say. */
function headerSize(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const second = bytes.readUInt8(1);
  const short = second & 0x7f;
  const length = short === 127 ? 8 : short === 126 ? 2 : 0;
  return 2 + length + ((second & 0x80) === 0 ? 0 : 4);
}

function payloadLength(header: Buffer): number {
  const short = header.readUInt8(1) & 0x7f;
  if (short < 126) return short;
  if (short === 126) return header.readUInt16BE(2);
  const length = header.readBigUInt64BE(2);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw protocolError("a frame's length is out of range");
  return Number(length);
}

/** In place; the mask goes on where the last piece of the payload has ended. Four bytes at once where memory allows. */
function unmask(bytes: Buffer, frame: OpenFrame): void {
  const { mask, done } = frame;
  const key = (at: number): number => mask[(done + at) & 3] ?? 0;
  const aligned = Math.min(bytes.length, (4 - (bytes.byteOffset & 3)) & 3);
  for (let at = 0; at < aligned; at += 1) bytes[at] = (bytes[at] ?? 0) ^ key(at);
  const count = (bytes.length - aligned) >> 2;
  const words = count === 0 ? [] : new Uint32Array(bytes.buffer, bytes.byteOffset + aligned, count);
  const [k0, k1, k2, k3] = [key(aligned), key(aligned + 1), key(aligned + 2), key(aligned + 3)];
  const wordKey = (k0 | (k1 << 8) | (k2 << 16) | (k3 << 24)) >>> 0;
  for (let at = 0; at < count; at += 1) words[at] = (words[at] ?? 0) ^ wordKey;
  for (let at = aligned + count * 4; at < bytes.length; at += 1) bytes[at] = (bytes[at] ?? 0) ^ key(at);
  frame.done += bytes.length;
}

/** One whole frame, not masked. `parts` become its payload, one after the other. */
export function writeFrame(
  kind: "binary" | "close" | "ping" | "pong",
  ...parts: readonly Uint8Array[]
): Buffer {
  const opcode = { binary: BINARY, close: 8, ping: 9, pong: 10 }[kind];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const headerLength = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headerLength + length);
  frame.writeUInt8(0x80 | opcode, 0);
  if (headerLength === 2) frame.writeUInt8(length, 1);
  else if (headerLength === 4) {
    frame.writeUInt8(126, 1);
    frame.writeUInt16BE(length, 2);
  } else {
    frame.writeUInt8(127, 1);
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  let at = headerLength;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/** Payload of a close frame (RFC 6455 section 5.5.1). */
export function closePayload(code: number, reason = ""): Buffer {
  const text = Buffer.from(reason).subarray(0, MAX_CONTROL_BYTES - 2);
  const payload = Buffer.alloc(2 + text.length);
  payload.writeUInt16BE(code);
  text.copy(payload, 2);
  return payload;
}
