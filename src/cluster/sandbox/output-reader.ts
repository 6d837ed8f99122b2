/** Hands on what a process writes, at the pace of whoever reads it: the kernel's pipe is the buffer, and a full one stops the writer. */
import { ptr } from "bun:ffi";
import type { Clock } from "../../kernel/clock.ts";
import type { Launcher } from "./launcher.ts";
import { FIONREAD } from "./linux-constants.ts";

/** Others may hold the stream of a process that has ended: it is over when nothing came for so long, */
const LINGER_MS = 50;
/** when they went on for so many times that, */
const MAX_LINGERS = 20;
/** or when they wrote so much more; it covers what Bun reads ahead, at most 256 KiB. */
const LINGER_BYTES = 1024 * 1024;
/** A stream that always has more never gives up its turn of the event loop by itself. */
const TURN_BYTES = 256 * 1024;
/** A stream that nobody has begun to read when its process ends is kept for so long. */
const UNREAD_MS = 10_000;

export interface ReaderTools {
  readonly launcher: Launcher;
  readonly clock: Clock;
}

/** What is used of a stream's reader. */
interface ChunkReader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(): Promise<unknown>;
}

interface ReaderOptions extends ReaderTools {
  /** A pipe or a terminal. */
  readonly fd: number;
  /** Closes it. Called once. */
  readonly close: () => void;
}

/** What a process writes; it can be read once. */
export class OutputReader implements AsyncIterable<Uint8Array> {
  readonly #options: ReaderOptions;
  #reader: ChunkReader | undefined;
  #reads = 0;
  #isWaiting = false;
  #isClosed = false;
  #hasEnded = false;
  #lingers = 0;
  /** Bytes that are still read after the process has ended. */
  #quota = Number.POSITIVE_INFINITY;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (this.#reader !== undefined) throw new TypeError("Cannot read a stream twice");
    if (this.#isClosed) return;
    this.#reader = Bun.file(this.#options.fd).stream().getReader();
    if (this.#hasEnded) this.#linger();
    let turn = 0;
    try {
      for (;;) {
        const chunk = await this.#next(this.#reader);
        if (chunk === undefined) return;
        yield chunk;
        turn += chunk.length;
        if (turn >= TURN_BYTES) await new Promise(setImmediate);
        if (turn >= TURN_BYTES) turn = 0;
        this.#quota -= chunk.length;
        if (this.#quota < 0) return;
      }
    } finally {
      this.close();
    }
  }

  /** The process has ended: the stream ends soon, whoever else holds it. What the process itself wrote is never lost. */
  ended(): void {
    if (this.#hasEnded || this.#isClosed) return;
    this.#hasEnded = true;
    this.#quota = this.#unread() + LINGER_BYTES;
    if (this.#reader !== undefined) this.#linger();
    this.#options.clock.schedule(UNREAD_MS, () => {
      if (this.#reader === undefined) this.close();
    });
  }

  /** Ends the stream at once. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // Ends a read that waits.
    this.#reader?.cancel().catch(() => undefined);
    this.#options.close();
  }

  async #next(reader: ChunkReader): Promise<Uint8Array | undefined> {
    if (this.#isClosed) return undefined;
    this.#reads += 1;
    this.#isWaiting = true;
    try {
      return (await reader.read()).value;
    } catch {
      // EIO: a terminal whose last holder is gone.
      return undefined;
    } finally {
      this.#isWaiting = false;
    }
  }

  #linger(): void {
    const before = this.#reads;
    this.#options.clock.schedule(LINGER_MS, () => {
      if (this.#isClosed) return;
      // While the reader is busy with a chunk nothing can be said.
      if (this.#isWaiting) this.#lingers += 1;
      const isQuiet = this.#isWaiting && this.#reads === before && this.#unread() === 0;
      if (isQuiet || (this.#isWaiting && this.#lingers >= MAX_LINGERS)) this.close();
      else this.#linger();
    });
  }

  #unread(): number {
    const { launcher, fd } = this.#options;
    const answer = new Int32Array(1);
    return launcher.tryCall("ioctl", [fd, FIONREAD, ptr(answer)]) < 0 ? 0 : (answer[0] ?? 0);
  }
}
