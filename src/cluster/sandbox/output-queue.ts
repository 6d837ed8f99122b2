/** What waits for one reader of a container's output: a limited amount, behind which the writer is asked to wait. */

/** Bytes. */
const LIMIT = 256 * 1024;

/** Can be read once. */
export class OutputQueue implements AsyncIterable<Uint8Array> {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isOver = false;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  get isFull(): boolean {
    return this.#bytes >= LIMIT;
  }

  /** Takes a copy, also when it is full: the writer waits for `room` before the next one. */
  push(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#chunks.push(chunk.slice());
    this.#bytes += chunk.length;
    this.#wakeReader?.();
  }

  /** Resolves when the reader has made room, or has gone. For one writer. */
  room(): Promise<void> {
    if (!this.isFull || this.#isOver) return Promise.resolve();
    return new Promise((resolve) => (this.#wakeWriter = resolve));
  }

  /** Lets a writer that waits go on. */
  skipWait(): void {
    this.#wakeWriter?.();
  }

  /** No more comes; what is there can still be read. */
  end(): void {
    this.#isOver = true;
    this.#wakeReader?.();
    this.skipWait();
  }

  /** Drops what was not read. */
  close(): void {
    this.#chunks = [];
    this.#bytes = 0;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#bytes -= chunk.length;
          if (!this.isFull) this.#wakeWriter?.();
          yield chunk;
        } else if (this.#isOver) {
          return;
        } else {
          await new Promise<void>((resolve) => (this.#wakeReader = resolve));
        }
      }
    } finally {
      this.close();
    }
  }
}
