/** Reads exact numbers of bytes from a stream of chunks, holding no more than the chunk at hand. */
import { ArchiveError } from "./archive-error.ts";

export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  #position = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes handed out so far. */
  get position(): number {
    return this.#position;
  }

  /** Exactly `length` bytes; undefined at the end of the stream; throws `ArchiveError` when it ends in between. */
  async take(length: number): Promise<Uint8Array | undefined> {
    if (this.#chunk.length - this.#at >= length) return this.#slice(length);
    const whole = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const part = await this.#some(length - filled);
      if (part === undefined) {
        if (filled === 0) return undefined;
        throw new ArchiveError(`the archive is cut off after ${this.#position} bytes`);
      }
      whole.set(part, filled);
      filled += part.length;
    }
    return whole;
  }

  /** The next `length` bytes in pieces, none of them copied. Throws `ArchiveError` when the stream ends before. */
  async *pieces(length: number): AsyncGenerator<Uint8Array, void, undefined> {
    let left = length;
    while (left > 0) {
      const part = await this.#some(left);
      if (part === undefined) throw new ArchiveError(`the archive is cut off after ${this.#position} bytes`);
      left -= part.length;
      yield part;
    }
  }

  async skip(length: number): Promise<void> {
    for await (const piece of this.pieces(length)) void piece;
  }

  /** Reads to the end of the stream. */
  async drain(): Promise<void> {
    while ((await this.#some(Number.MAX_SAFE_INTEGER)) !== undefined);
  }

  /** Lets the source free what it holds. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** Between 1 and `most` bytes, undefined at the end. */
  async #some(most: number): Promise<Uint8Array | undefined> {
    while (this.#at >= this.#chunk.length) {
      const next = await this.#source.next();
      if (next.done === true) return undefined;
      this.#chunk = next.value;
      this.#at = 0;
    }
    return this.#slice(Math.min(most, this.#chunk.length - this.#at));
  }

  #slice(length: number): Uint8Array {
    const part = this.#chunk.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.#position += length;
    return part;
  }
}
