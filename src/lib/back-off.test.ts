import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { backOffMs } from "./back-off.ts";

const PACE = { firstMs: 1_000, longestMs: 60_000 };

test("backOffMs() doubles its bound up to the longest, and spreads over all of it", () => {
  const bounds = [0, 1, 2, 5, 6, 100, 5_000].map((tries) => backOffMs(tries, PACE, () => 0.5));
  expect(bounds).toEqual([500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
  expect(backOffMs(3, PACE, () => 0)).toBe(0);
});

test("backOffMs() is a whole number below its bound", () => {
  fc.assert(
    fc.property(
      fc.nat(2_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (tries, random) => {
        const ms = backOffMs(tries, PACE, () => random);
        expect(Number.isInteger(ms) && ms >= 0 && ms < 60_000).toBe(true);
      },
    ),
  );
});
