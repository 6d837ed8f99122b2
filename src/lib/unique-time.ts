/** A time stamp that this process never gives twice, for names that must differ and sort by age. */

let last = 0n;

/**
 * Nanoseconds since the epoch for `nowMs` (Unix milliseconds), later than every one given before. One counter for the whole
 * process: two parts of it may name things after the same object in the same millisecond.
 */
export function uniqueNanoseconds(nowMs: number): bigint {
  const now = BigInt(Math.floor(nowMs)) * 1_000_000n;
  last = now > last ? now : last + 1n;
  return last;
}
