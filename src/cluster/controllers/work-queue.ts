/** What controllers share: keys to look at, each once however often it was named, and again later when that failed. */
import type { Clock } from "../../kernel/clock.ts";
import { StatusError } from "../../k8s/status-error.ts";

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 60_000;

export interface WorkQueue {
  add(key: string): void;
  /** Nothing is worked on after this returns. */
  stop(): void;
}

/**
 * Calls `work` for every added key, after the code that added it has returned. A `StatusError` is tried again with growing
 * pauses; anything else is a bug and goes to the process.
 */
export function createWorkQueue(clock: Clock, work: (key: string) => void): WorkQueue {
  const keys = new Set<string>();
  const failures = new Map<string, number>();
  const retries = new Map<string, () => void>();
  let isScheduled = false;
  let isStopped = false;

  function add(key: string): void {
    if (isStopped) return;
    retries.get(key)?.();
    retries.delete(key);
    keys.add(key);
    if (isScheduled) return;
    isScheduled = true;
    queueMicrotask(drain);
  }

  function drain(): void {
    try {
      for (const key of keys) {
        if (isStopped) return;
        keys.delete(key);
        attempt(key);
      }
    } finally {
      isScheduled = false;
      if (keys.size > 0 && !isStopped) {
        isScheduled = true;
        queueMicrotask(drain);
      }
    }
  }

  function attempt(key: string): void {
    try {
      work(key);
      failures.delete(key);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      const failed = failures.get(key) ?? 0;
      failures.set(key, failed + 1);
      const pause = Math.min(FIRST_RETRY_MS * 2 ** failed, LAST_RETRY_MS);
      retries.set(
        key,
        clock.schedule(pause, () => add(key)),
      );
    }
  }

  function stop(): void {
    isStopped = true;
    keys.clear();
    for (const cancel of retries.values()) cancel();
    retries.clear();
  }

  return { add, stop };
}
