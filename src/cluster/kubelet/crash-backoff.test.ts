import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { backoffLeft, backoffLimits, goDuration, nextBackoff, type BackoffEntry } from "./crash-backoff.ts";

/** Delays before each start of a container that ends as soon as it starts. */
function delays(count: number, maxMs?: number): number[] {
  const found: number[] = [];
  let entry: BackoffEntry | undefined;
  let now = 0;
  for (let start = 0; start < count; start++) {
    const endedAt = now;
    const left = backoffLeft(entry, endedAt, now);
    found.push(left);
    now += left;
    entry = nextBackoff(entry, { endedAt, now }, backoffLimits(maxMs));
  }
  return found;
}

test("starts wait 0, 10, 20, 40, 80, 160, 300, 300 seconds [R5]", () => {
  expect(delays(9).map((ms) => ms / 1000)).toEqual([0, 10, 20, 40, 80, 160, 300, 300, 300]);
});

test("a lower maximum is the first delay, too (KEP-5593) [R9]", () => {
  expect(delays(4, 1000)).toEqual([0, 1000, 1000, 1000]);
  expect(delays(5, 30_000)).toEqual([0, 10_000, 20_000, 30_000, 30_000]);
});

describe("backoffLeft()", () => {
  const entry = { delayMs: 160_000, decidedAt: 1_000_000 };

  test("forgets after more than ten minutes between the start and the end [R6]", () => {
    expect(backoffLeft(entry, 1_600_000, 1_600_000)).toBe(160_000);
    expect(backoffLeft(entry, 1_600_001, 1_600_001)).toBe(0);
    const next = nextBackoff(entry, { endedAt: 1_600_001, now: 1_600_001 }, backoffLimits());
    expect(next.delayMs).toBe(10_000);
  });

  test("is between nothing and the delay, however the clock jumps", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (endedAt, now) => {
        const left = backoffLeft(entry, endedAt, now);
        return left >= 0 && left <= entry.delayMs;
      }),
    );
  });
});

test("delays of a container that ends early never shrink and never pass the maximum", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 600_000 })),
      fc.integer({ min: 1, max: 300_000 }),
      (runs, maxMs) => {
        let entry: BackoffEntry | undefined;
        let now = 0;
        for (const ran of runs) {
          const before = entry?.delayMs ?? 0;
          const endedAt = now + ran;
          entry = nextBackoff(entry, { endedAt, now: endedAt }, backoffLimits(maxMs));
          now = endedAt;
          if (entry.delayMs < before || entry.delayMs > maxMs) return false;
        }
        return true;
      },
    ),
  );
});

test.each([
  [0, "0s"],
  [999, "999ms"],
  [1234, "1.234s"],
  [10_000, "10s"],
  [80_000, "1m20s"],
  [300_000, "5m0s"],
  [3_661_000, "1h1m1s"],
])("goDuration(%d) is %s", (ms, expected) => expect(goDuration(ms)).toBe(expected));
