/** What controllers share: keys to look at, each once however often it was named, and again later when that failed. */
import type { Clock } from "../../kernel/clock.ts";
import { StatusError } from "../../k8s/status-error.ts";

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 60_000;

export interface WorkQueue {
  add(key: string): void;
  /** As `add`, that many milliseconds from now; an earlier wish for the same key stays. */
  addAfter(key: string, milliseconds: number): void;
  /** Nothing is worked on after this returns; what is being worked on goes on to its next await. */
  stop(): void;
}

/**
 * Calls `work` for every added key, after the code that added it has returned, and never twice at a time for one key. A
 * `StatusError` is tried again with growing pauses; anything else is a bug and goes to the process.
 */
export function createWorkQueue(clock: Clock, work: (key: string) => Promise<void> | void): WorkQueue {
  return new Queue(clock, work);
}

interface Later {
  readonly at: number;
  readonly cancel: () => void;
}

class Queue implements WorkQueue {
  readonly #clock: Clock;
  readonly #work: (key: string) => Promise<void> | void;
  readonly #keys = new Set<string>();
  /** At work, and whether they were added again meanwhile. */
  readonly #working = new Map<string, boolean>();
  readonly #failures = new Map<string, number>();
  readonly #later = new Map<string, Later>();
  readonly #retries = new Map<string, () => void>();
  #isScheduled = false;
  #isStopped = false;

  constructor(clock: Clock, work: (key: string) => Promise<void> | void) {
    this.#clock = clock;
    this.#work = work;
  }

  add(key: string): void {
    if (this.#isStopped) return;
    this.#retries.get(key)?.();
    this.#retries.delete(key);
    if (this.#working.has(key)) {
      this.#working.set(key, true);
      return;
    }
    this.#keys.add(key);
    this.#schedule();
  }

  addAfter(key: string, milliseconds: number): void {
    if (this.#isStopped) return;
    const at = this.#clock.monotonic() + milliseconds;
    const known = this.#later.get(key);
    if (known !== undefined && known.at <= at) return;
    known?.cancel();
    const cancel = this.#clock.schedule(milliseconds, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { at, cancel });
  }

  stop(): void {
    this.#isStopped = true;
    this.#keys.clear();
    for (const cancel of this.#retries.values()) cancel();
    for (const { cancel } of this.#later.values()) cancel();
    this.#retries.clear();
    this.#later.clear();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isStopped) return;
    this.#isScheduled = true;
    queueMicrotask(() => this.#drain());
  }

  #drain(): void {
    try {
      for (const key of this.#keys) {
        if (this.#isStopped) return;
        this.#keys.delete(key);
        this.#attempt(key);
      }
    } finally {
      this.#isScheduled = false;
      if (this.#keys.size > 0) this.#schedule();
    }
  }

  #attempt(key: string): void {
    // Before the work begins: it may write, and so add its own key, ahead of its first await.
    this.#working.set(key, false);
    let working: Promise<void> | void = undefined;
    try {
      working = this.#work(key);
      if (working === undefined) this.#failures.delete(key);
    } catch (error) {
      this.#retry(key, error);
    } finally {
      if (working === undefined) this.#end(key);
    }
    if (working !== undefined) void this.#finish(key, working);
  }

  async #finish(key: string, working: Promise<void>): Promise<void> {
    try {
      await working;
      this.#failures.delete(key);
    } catch (error) {
      this.#retry(key, error);
    } finally {
      this.#end(key);
    }
  }

  #end(key: string): void {
    const isWanted = this.#working.get(key) === true;
    this.#working.delete(key);
    if (isWanted) this.add(key);
  }

  #retry(key: string, error: unknown): void {
    if (this.#isStopped) return;
    if (!(error instanceof StatusError)) throw error;
    const failed = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failed + 1);
    const pause = Math.min(FIRST_RETRY_MS * 2 ** failed, LAST_RETRY_MS);
    this.#retries.get(key)?.();
    this.#retries.set(
      key,
      this.#clock.schedule(pause, () => this.add(key)),
    );
  }
}
