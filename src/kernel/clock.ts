/** Time comes in from outside, so that tests decide what time it is. */

export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump. */
  now(): number;
  /** Milliseconds that only grow; for durations and back-off. */
  monotonic(): number;
  /** Calls back once after `ms`; the returned function cancels it. Does not keep the process alive by itself. */
  schedule(ms: number, callback: () => void): () => void;
}

/** 24 days: what one timer of the runtime can hold. A longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(ms, callback) {
    let timer: ReturnType<typeof setTimeout>;
    const wait = (leftMs: number) => {
      const isLast = leftMs <= LONGEST_TIMER_MS;
      timer = isLast
        ? setTimeout(callback, leftMs)
        : setTimeout(() => wait(leftMs - LONGEST_TIMER_MS), LONGEST_TIMER_MS);
      timer.unref();
    };
    wait(ms);
    return () => clearTimeout(timer);
  },
};
