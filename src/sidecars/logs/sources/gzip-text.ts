/** Reads the text of a gzip file in order, at bounded memory: members one after the other, and of a damaged one what can be read. */
import { readSync } from "node:fs";
import { createGunzip, type Gunzip } from "node:zlib";

const PIECE_BYTES = 64 * 1024;
/** Text that may wait to be taken. */
const MOST_WAITING = 512 * 1024;

/** The text between two offsets, as `next` calls give it. */
export class GzipText {
  readonly #fd: number;
  #gunzip: Gunzip;
  #fed = 0;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Text bytes that were taken out or passed over. */
  #taken = 0;
  #passOver = 0;
  #error: Error | undefined;
  #isOver = false;
  #isClosed = false;
  /** After an error it is read again in single bytes near the damage: what zlib had decoded of a larger piece is lost with it. */
  #carefulFrom = Number.POSITIVE_INFINITY;
  #wake: (() => void) | undefined;
  #isFeeding = false;

  /** `fd` stays the caller's. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#gunzip = this.#create();
  }

  /** What ended it early, once `next` has given undefined. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** More text; undefined at the end. Never rejects. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const part = this.#waiting.shift();
      if (part !== undefined) {
        this.#waitingBytes -= part.length;
        this.#taken += part.length;
        if (this.#waitingBytes < MOST_WAITING / 2) this.#gunzip.resume();
        return part;
      }
      if (this.#isClosed) return undefined;
      if (this.#error !== undefined && this.#carefulFrom === Number.POSITIVE_INFINITY) this.#beCareful();
      else if (this.#isOver || this.#error !== undefined) return undefined;
      void this.#feed();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  /** Ends it; a `next` that waits gives undefined. */
  close(): void {
    this.#isClosed = true;
    this.#gunzip.destroy();
    this.#wake?.();
  }

  #create(): Gunzip {
    const gunzip = createGunzip();
    gunzip.on("data", (part: Uint8Array) => {
      if (gunzip !== this.#gunzip) return;
      const fresh = part.subarray(Math.min(part.length, this.#passOver));
      this.#passOver -= part.length - fresh.length;
      if (fresh.length > 0) this.#waiting.push(fresh);
      this.#waitingBytes += fresh.length;
      if (this.#waitingBytes > MOST_WAITING) gunzip.pause();
      this.#wake?.();
    });
    gunzip.on("error", (error: Error) => {
      if (gunzip !== this.#gunzip) return;
      this.#error = error;
      this.#wake?.();
    });
    gunzip.on("end", () => {
      if (gunzip !== this.#gunzip) return;
      this.#isOver = true;
      this.#wake?.();
    });
    return gunzip;
  }

  #beCareful(): void {
    this.#carefulFrom = Math.max(0, this.#fed - PIECE_BYTES);
    this.#passOver = this.#taken;
    this.#fed = 0;
    this.#error = undefined;
    this.#isFeeding = false;
    this.#gunzip.destroy();
    this.#gunzip = this.#create();
  }

  /** Feeds until it is over; one at a time. */
  async #feed(): Promise<void> {
    if (this.#isFeeding) return;
    this.#isFeeding = true;
    const gunzip = this.#gunzip;
    const piece = new Uint8Array(PIECE_BYTES);
    while (!gunzip.destroyed && gunzip === this.#gunzip) {
      const isCareful = this.#fed >= this.#carefulFrom;
      const count = this.#read(piece, isCareful ? 1 : Math.min(PIECE_BYTES, this.#carefulFrom - this.#fed));
      if (count === 0) {
        gunzip.end();
        return;
      }
      this.#fed += count;
      await writeTo(gunzip, piece.slice(0, count));
    }
  }

  #read(piece: Uint8Array, length: number): number {
    try {
      return readSync(this.#fd, piece, 0, length, this.#fed);
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
      return 0;
    }
  }
}

/** Resolves when the piece has been decoded, or never will be. */
function writeTo(gunzip: Gunzip, piece: Uint8Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  gunzip.once("close", resolve);
  gunzip.write(piece, () => {
    gunzip.off("close", resolve);
    resolve();
  });
  return promise;
}
