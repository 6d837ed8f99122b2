/** Timestamps of log lines: finer than the wall clock's milliseconds, so that lines of two containers sort as they came. */
import type { Clock } from "../../kernel/clock.ts";

/** The wall clock is followed again when it and ours are further apart than this. */
const MAX_DRIFT_MS = 2;

/** Returns a function that gives RFC 3339 timestamps with nanosecond digits, in UTC, as a CRI log has them. */
export function logClock(clock: Clock): () => string {
  let offset = clock.now() - clock.monotonic();
  let second = -1;
  let prefix = "";
  return () => {
    const wall = clock.now();
    let now = clock.monotonic() + offset;
    if (Math.abs(now - wall) > MAX_DRIFT_MS) {
      offset += wall - now;
      now = wall;
    }
    const whole = Math.floor(now / 1000);
    if (whole !== second) {
      second = whole;
      prefix = new Date(whole * 1000).toISOString().slice(0, 19);
    }
    const nanos = Math.floor((now - whole * 1000) * 1e6);
    return `${prefix}.${String(nanos).padStart(9, "0")}Z`;
  };
}
