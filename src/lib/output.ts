/** Writes to an open descriptor such as standard output: in order, whole, and without ever keeping the event loop waiting. */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import type { FileSink } from "bun";

export class Output {
  readonly #fd: number;
  #sink: FileSink | undefined;
  #own: number | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Resolves when the reader's pipe, terminal or file has all of it; rejects with the system's error (EPIPE, ENOSPC), after
   * which a part may be there. `data` must stay as it is meanwhile.
   */
  write(data: string | Uint8Array): Promise<void> {
    const written = this.#last.then(() => this.#write(data));
    this.#last = written.catch(() => undefined);
    return written;
  }

  /** Waits for what was begun, and closes what it opened itself; never the descriptor it was given. */
  async close(): Promise<void> {
    await this.#last;
    this.#forget();
  }

  async #write(data: string | Uint8Array): Promise<void> {
    if (data.length === 0) return;
    this.#sink ??= this.#open();
    try {
      await this.#sink.write(data);
      await this.#sink.flush();
    } catch (error) {
      // A sink that has failed once takes everything afterwards and writes nothing.
      this.#forget();
      throw error;
    }
  }

  #open(): FileSink {
    this.#own = reopen(this.#fd);
    return Bun.file(this.#own ?? this.#fd).writer();
  }

  #forget(): void {
    this.#sink?.unref();
    this.#sink = undefined;
    if (this.#own !== undefined) closeSync(this.#own);
    this.#own = undefined;
  }
}

/**
 * Pipes are opened anew where that is allowed: writing without waiting is a property of the open file, and this one may be
 * shared with programs that expect to wait.
 */
function reopen(fd: number): number | undefined {
  try {
    if (!fstatSync(fd).isFIFO()) return undefined;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined; // Not ours to open, or nobody reads it any more: then writing says so.
  }
}
