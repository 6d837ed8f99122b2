/** Brings messages into the spool at once; while it cannot, those in hand wait and nobody brings more. */
import type { Clock } from "../../../kernel/clock.ts";
import type { Spool } from "./spool.ts";
import { lineOf } from "./syslog-frames.ts";

export interface IntakeOptions {
  readonly spool: Spool;
  readonly clock: Clock;
  /** True: hold all senders back. False: let them go on. */
  readonly hold: (isHeld: boolean) => void;
}

/** How often it is tried again. */
const RETRY_MS = 200;

export class SyslogIntake {
  readonly #options: IntakeOptions;
  #waiting: Uint8Array[] = [];
  #cancel: (() => void) | undefined;
  #trouble: unknown;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  get isHeld(): boolean {
    return this.#waiting.length > 0;
  }

  /** What the file system said of the spool. */
  get trouble(): unknown {
    return this.#trouble;
  }

  take(message: Uint8Array): void {
    const line = lineOf(message);
    if (line.length === 0) return;
    if (!this.isHeld && this.#store(line)) return;
    this.#waiting.push(line);
    if (this.#waiting.length > 1) return;
    this.#options.hold(true);
    this.#retryLater();
  }

  /** Resolves when nothing waits. */
  async settle(): Promise<void> {
    while (this.isHeld) await new Promise<void>((resolve) => this.#options.clock.schedule(RETRY_MS, resolve));
  }

  /** What waits is stored now or never: the bound does not count. */
  close(): void {
    this.#cancel?.();
    for (const line of this.#waiting) if (!this.#store(line, true)) break;
    this.#waiting = [];
  }

  #store(line: Uint8Array, isLast = false): boolean {
    const { spool } = this.#options;
    if (!isLast && spool.room(line.length) < line.length) return false;
    try {
      spool.append(line);
      this.#trouble = undefined;
      return true;
    } catch (error) {
      this.#trouble = error;
      return false;
    }
  }

  #retryLater(): void {
    this.#cancel = this.#options.clock.schedule(RETRY_MS, () => {
      let stored = 0;
      while (stored < this.#waiting.length && this.#store(this.#waiting[stored] ?? Buffer.of())) stored++;
      this.#waiting.splice(0, stored);
      if (this.isHeld) this.#retryLater();
      else this.#options.hold(false);
    });
  }
}
