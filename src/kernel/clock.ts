/** Time comes in from outside, so that tests decide what time it is. */

export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump. */
  now(): number;
  /** Milliseconds that only grow; for durations and back-off. */
  monotonic(): number;
  /** Calls back once after `ms`; the returned function cancels it. Does not keep the process alive by itself. */
  schedule(ms: number, callback: () => void): () => void;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
