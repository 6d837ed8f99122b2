/** Cuts what comes over a connection into syslog messages (RFC 6587), and makes one line of each message. */

/** Longer ones are cut. */
export const MAX_MESSAGE = 2 ** 18;
/** Digits of the length in front of a counted message. */
const MAX_DIGITS = 6;
const NUL = 0x00;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
const LESS_THAN = 0x3c;
const FIRST_ROOM = 4096;

/** One connection. Messages are handed out as parts of a buffer that is used again: valid during the call. */
export class SyslogFrames {
  readonly #take: (message: Uint8Array) => void;
  #buffer = Buffer.allocUnsafe(FIRST_ROOM);
  #length = 0;
  /** No message ends before it. */
  #scanned = 0;

  constructor(take: (message: Uint8Array) => void) {
    this.#take = take;
  }

  push(bytes: Uint8Array): void {
    this.#append(bytes);
    let start = 0;
    for (let end = this.#endFrom(start); end !== undefined; end = this.#endFrom(start)) {
      this.#take(this.#buffer.subarray(end.from, end.to));
      start = end.next;
      this.#scanned = start;
    }
    this.#buffer.copyWithin(0, start, this.#length);
    this.#length -= start;
    this.#scanned -= start;
  }

  /** The connection is closed: what is left is a message too. */
  end(): void {
    if (this.#length > 0) this.#take(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    this.#scanned = 0;
  }

  /** The message that begins at `start`, when it is there to its end. */
  #endFrom(start: number): { from: number; to: number; next: number } | undefined {
    const counted = this.#countAt(start);
    if (counted === "unknown") return undefined;
    if (counted !== undefined) {
      const to = counted.from + counted.length;
      if (to <= this.#length) return { from: counted.from, to, next: to };
      return undefined;
    }
    for (let at = Math.max(start, this.#scanned); at < this.#length; at++) {
      const byte = this.#buffer[at];
      // glibc ends a message with NUL, others with a line end.
      if (byte === NEWLINE || byte === NUL) return { from: start, to: at, next: at + 1 };
    }
    this.#scanned = this.#length;
    const end = start + MAX_MESSAGE;
    return this.#length >= end ? { from: start, to: end, next: end } : undefined;
  }

  /** Octet counting, RFC 6587 section 3.4.1: `34 <13>1 ...`. "unknown": the next bytes decide. */
  #countAt(start: number): { from: number; length: number } | "unknown" | undefined {
    let length = 0;
    for (let at = start; at <= start + MAX_DIGITS; at++) {
      if (at >= this.#length) return "unknown";
      const byte = this.#buffer[at] ?? 0;
      if (byte === SPACE && at > start) {
        if (at + 1 >= this.#length) return "unknown";
        // A number that no message follows is text of one that is not counted.
        const isCount = this.#buffer[at + 1] === LESS_THAN && length <= MAX_MESSAGE;
        return isCount ? { from: at + 1, length } : undefined;
      }
      if (byte < ZERO || byte > NINE || (byte === ZERO && at === start)) return undefined;
      length = length * 10 + byte - ZERO;
    }
    return undefined;
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = needed;
  }
}

/**
 * A line of its own for each message: ends of lines inside become `#012`, as rsyslog writes them, and NULs `#000`; at the end of
 * a message they are left out. Empty for a message without content.
 */
export function lineOf(message: Uint8Array): Uint8Array {
  let end = message.length;
  while (end > 0 && isEnd(message[end - 1])) end--;
  if (end === 0) return message.subarray(0, 0);
  const text = Buffer.from(message.buffer, message.byteOffset, end);
  if (!text.includes(NEWLINE) && !text.includes(NUL)) return Buffer.concat([text, Buffer.from("\n")]);
  const escaped = text.toString("latin1").replaceAll("\n", "#012").replaceAll("\0", "#000");
  return Buffer.from(`${escaped}\n`, "latin1");
}

function isEnd(byte: number | undefined): boolean {
  return byte === NEWLINE || byte === RETURN || byte === NUL;
}
