/** Times that are given once. */
import { expect, test } from "bun:test";
import { uniqueNanoseconds } from "./unique-time.ts";

test("uniqueNanoseconds() grows in one millisecond, and when the clock goes back", () => {
  const now = Date.now();
  const times = [now, now, now, now - 5_000, now + 1].map(uniqueNanoseconds);
  expect(times.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(times);
  expect(new Set(times).size).toBe(times.length);
});
