import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Narrowing } from "./narrowing.ts";

/** Sends everything to a receiver that refuses batches with these records in them; gives what was given up, and the requests. */
function narrowDown(count: number, bad: ReadonlySet<number>): { found: number[]; requests: number } {
  const narrowing = new Narrowing();
  const found: number[] = [];
  let left = Array.from({ length: count }, (_, index) => index);
  let requests = 0;
  while (left.length > 0) {
    const now = left.slice(0, narrowing.next(left.map(() => 1)));
    requests += 1;
    if (!now.some((index) => bad.has(index))) narrowing.accepted(now.length);
    else if (narrowing.refused(now.length)) found.push(...now);
    else continue;
    left = left.slice(now.length);
  }
  return { found, requests };
}

test("exactly the records at fault are found", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.array(fc.nat(299), { maxLength: 40 }),
      (count, numbers) => {
        const bad = new Set(numbers.filter((number) => number < count));
        const { found, requests } = narrowDown(count, bad);
        expect(found).toEqual([...bad].sort((a, b) => a - b));
        expect(requests).toBeLessThanOrEqual(1 + bad.size * 4 * Math.ceil(Math.log2(count + 1)));
      },
    ),
  );
});

test("one bad record among 10,000 costs a few dozen requests, 10,000 bad ones a request each", () => {
  expect(narrowDown(10_000, new Set([7_777])).requests).toBeLessThan(45);
  const all = new Set(Array.from({ length: 10_000 }, (_, index) => index));
  expect(narrowDown(10_000, all).requests).toBeLessThan(10_050);
});

test("a receiver's 413 is remembered in bytes, and tried anew after a while", () => {
  const narrowing = new Narrowing();
  const sizes = Array.from({ length: 100 }, () => 10);
  expect(narrowing.next(sizes)).toBe(100);
  expect(narrowing.tooLarge(100, 1_000)).toBe(false);
  expect(narrowing.next(sizes)).toBe(50);
  narrowing.accepted(50);
  expect(narrowing.next(sizes)).toBe(52);
  for (let batch = 0; batch < 20; batch += 1) narrowing.accepted(50);
  expect(narrowing.next(sizes)).toBe(100);
  expect(narrowing.next([5_000])).toBe(1);
  expect(narrowing.tooLarge(1, 5_000)).toBe(true);
});
