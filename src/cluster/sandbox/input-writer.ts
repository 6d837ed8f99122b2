/** Writes into a process as fast as it reads, holding one chunk at most. */
import { writeSync } from "node:fs";
import type { Clock } from "../../kernel/clock.ts";
import type { ProcessInput } from "./process-io.ts";

/**
 * A full pipe is tried again after these waits: Bun's own writer would tell when there is room, but cannot be stopped while
 * it waits, and blocks the thread on terminals.
 */
const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 50;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export interface InputOptions {
  /** Non-blocking. */
  readonly fd: number;
  readonly clock: Clock;
  /** Called once, when no more is written: closes a pipe. */
  readonly close: () => void;
  /** Of a terminal: what it takes for end-of-file at this moment. */
  readonly endOfFile?: () => Uint8Array;
}

export class InputWriter implements ProcessInput {
  readonly #options: InputOptions;
  #last: Promise<void> = Promise.resolve();
  #hasEnded = false;
  #isInLine = false;
  #isClosed = false;
  #stopWaiting: (() => void) | undefined;

  constructor(options: InputOptions) {
    this.#options = options;
  }

  write(chunk: Uint8Array): Promise<void> {
    if (this.#hasEnded) return this.#last;
    return this.#enqueue(() => chunk);
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { endOfFile } = this.#options;
    if (endOfFile === undefined) void this.#last.then(() => this.close());
    else void this.#enqueue(() => this.#endLine(endOfFile()));
  }

  /** Drops what has not been taken. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#hasEnded = true;
    this.#stopWaiting?.();
    this.#options.close();
  }

  #enqueue(bytes: () => Uint8Array): Promise<void> {
    this.#last = this.#last.then(() => this.#put(bytes()));
    return this.#last;
  }

  /** Behind half a line the character only hands over that half. */
  #endLine(character: Uint8Array): Uint8Array {
    return this.#isInLine ? Buffer.concat([character, character]) : character;
  }

  async #put(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    let waitMs = FIRST_WAIT_MS;
    while (rest.length > 0 && !this.#isClosed) {
      const taken = this.#tryWrite(rest);
      if (taken === undefined) {
        // Nobody will ever read.
        this.close();
      } else if (taken === 0) {
        await this.#wait(waitMs);
        waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      } else {
        this.#isInLine = rest[taken - 1] !== LINE_FEED && rest[taken - 1] !== CARRIAGE_RETURN;
        rest = rest.subarray(taken);
        waitMs = FIRST_WAIT_MS;
      }
    }
  }

  /** Bytes taken; undefined when there is no reader any more. */
  #tryWrite(bytes: Uint8Array): number | undefined {
    try {
      return writeSync(this.#options.fd, bytes);
    } catch (error) {
      return error instanceof Error && "code" in error && error.code === "EAGAIN" ? 0 : undefined;
    }
  }

  async #wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.schedule(ms, resolve);
    this.#stopWaiting = resolve;
    await promise;
    cancel();
    this.#stopWaiting = undefined;
  }
}
