import { expect, test } from "bun:test";
import { ManualClock } from "../testing/manual-clock.ts";
import { sleep } from "./sleep.ts";

test("sleep() resolves true once the time is over, and leaves no timer", async () => {
  const clock = new ManualClock();
  const slept = sleep(1_000, clock);
  clock.advance(999);
  expect(clock.pending).toBe(1);
  clock.advance(1);
  expect(await slept).toBe(true);
  expect(clock.pending).toBe(0);
});

test("sleep() resolves false as soon as the signal aborts, and leaves no timer", async () => {
  const clock = new ManualClock();
  const controller = new AbortController();
  const slept = sleep(1_000, clock, controller.signal);
  controller.abort();
  expect(await slept).toBe(false);
  expect(clock.pending).toBe(0);
  expect(await sleep(1_000, clock, controller.signal)).toBe(false);
});
