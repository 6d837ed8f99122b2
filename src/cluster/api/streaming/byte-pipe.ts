/** A queue of bytes with a bound, between somebody who writes and somebody who reads at another pace. */

export class BytePipe implements AsyncIterable<Uint8Array> {
  readonly #limit: number;
  readonly #queue: Uint8Array[] = [];
  #size = 0;
  #isEnded = false;
  #onRoom: (() => void)[] = [];
  #onMore: () => void = () => undefined;

  /** `limit` in bytes: a writer that finds more than that waits. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves when not more than the limit is waiting to be read, or the pipe has been closed. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#isEnded || chunk.length === 0) return;
    this.#queue.push(chunk);
    this.#size += chunk.length;
    this.#onMore();
    if (this.#size <= this.#limit) return;
    await new Promise<void>((resolve) => this.#onRoom.push(resolve));
  }

  /** What is in it can still be read; nothing more comes. Idempotent. */
  end(): void {
    this.#isEnded = true;
    this.#onMore();
  }

  /** Nobody reads any more: drops what is in it and lets writers go. Idempotent. */
  cancel(): void {
    this.#queue.length = 0;
    this.#size = 0;
    this.end();
    this.#makeRoom();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#queue.shift();
        if (chunk === undefined) {
          if (this.#isEnded) return;
          await new Promise<void>((resolve) => {
            this.#onMore = resolve;
          });
          continue;
        }
        yield chunk;
        // Taken only now: until the reader comes back it has not dealt with the chunk.
        this.#size = Math.max(0, this.#size - chunk.length);
        if (this.#size <= this.#limit) this.#makeRoom();
      }
    } finally {
      this.cancel();
    }
  }

  #makeRoom(): void {
    for (const resolve of this.#onRoom.splice(0)) resolve();
  }
}
