/** Turns what a container writes into lines of the CRI log format, `<time> <stream> F|P <text>`. */

/** Longest text of one log line; the rest of a longer line follows in further lines (containerd `max_container_log_line_size`). */
export const MAX_TEXT_BYTES = 16_384;
const OUT_BYTES = 128 * 1024;
const NEWLINE = 10;
const SMALL_BYTES = 1024;

/** Where lines are put together. One for all containers: it is empty again when `push` returns. */
const out = Buffer.allocUnsafe(OUT_BYTES);

export type LogStream = "stdout" | "stderr";

/** One stream of one container. Holds at most one unfinished line of `MAX_TEXT_BYTES`. */
export class CriLines {
  readonly #stream: LogStream;
  /** Gets whole CRI lines only; the bytes are reused after it returns. */
  readonly #write: (lines: Uint8Array) => void;
  #pending = Buffer.alloc(0);
  #pendingBytes = 0;
  #outBytes = 0;

  constructor(stream: LogStream, write: (lines: Uint8Array) => void) {
    this.#stream = stream;
    this.#write = write;
  }

  /** Takes a piece of the stream; every line that it completes is written before `push` returns. */
  push(bytes: Uint8Array, time: string): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [full, partial] = this.#prefixes(time);
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, start);
      const end = newline < 0 ? chunk.length : newline;
      start = this.#takeLongLine(chunk, { start, end, prefix: partial });
      if (newline < 0) {
        this.#hold(chunk, start, end);
        break;
      }
      this.#emit(full, chunk, { start, end });
      start = newline + 1;
    }
    this.#flush();
  }

  /** Writes what is held as a part of a line, of which more may come. */
  cut(time: string): void {
    if (this.#pendingBytes === 0) return;
    this.#emit(this.#prefixes(time)[1], this.#pending, { start: 0, end: 0 });
    this.#flush();
  }

  /** The stream is over: what is left without a newline becomes a full line, as containerd does it. */
  end(time: string): void {
    if (this.#pendingBytes === 0) return;
    this.#emit(this.#prefixes(time)[0], this.#pending, { start: 0, end: 0 });
    this.#flush();
  }

  #prefixes(time: string): readonly [full: Buffer, partial: Buffer] {
    return [Buffer.from(`${time} ${this.#stream} F `), Buffer.from(`${time} ${this.#stream} P `)];
  }

  /** Writes pieces of exactly `MAX_TEXT_BYTES` while more than that is known of the line; returns where the rest starts. */
  #takeLongLine(chunk: Buffer, line: { start: number; end: number; prefix: Buffer }): number {
    let { start } = line;
    while (this.#pendingBytes + (line.end - start) > MAX_TEXT_BYTES) {
      const end = start + MAX_TEXT_BYTES - this.#pendingBytes;
      this.#emit(line.prefix, chunk, { start, end });
      start = end;
    }
    return start;
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const bytes = this.#pendingBytes + (end - start);
    if (bytes > this.#pending.length) {
      const larger = Buffer.allocUnsafe(Math.min(MAX_TEXT_BYTES, Math.max(SMALL_BYTES, bytes * 2)));
      this.#pending.copy(larger, 0, 0, this.#pendingBytes);
      this.#pending = larger;
    }
    chunk.copy(this.#pending, this.#pendingBytes, start, end);
    this.#pendingBytes += end - start;
  }

  /** One CRI line: prefix, the held text, `chunk[start, end)`. */
  #emit(prefix: Buffer, chunk: Buffer, { start, end }: { start: number; end: number }): void {
    const bytes = prefix.length + this.#pendingBytes + (end - start) + 1;
    if (this.#outBytes + bytes > OUT_BYTES) this.#flush();
    let at = this.#outBytes;
    at += prefix.copy(out, at);
    at += this.#pending.copy(out, at, 0, this.#pendingBytes);
    at += chunk.copy(out, at, start, end);
    out[at] = NEWLINE;
    this.#outBytes = at + 1;
    this.#pendingBytes = 0;
    // Most containers are quiet; those that once wrote a long line need not hold its memory.
    if (this.#pending.length > SMALL_BYTES) this.#pending = Buffer.alloc(0);
  }

  #flush(): void {
    if (this.#outBytes === 0) return;
    this.#write(out.subarray(0, this.#outBytes));
    this.#outBytes = 0;
  }
}
