import { expect, test } from "bun:test";
import { ManualClock } from "../testing/manual-clock.ts";
import { Bell } from "./bell.ts";

test("a ring before the wait ends it at once, and only that one", async () => {
  const bell = new Bell(new ManualClock());
  bell.ring();
  bell.ring();
  await bell.wait();
  const second = bell.wait();
  bell.ring();
  await second;
});

test("a wait ends when its time is over, and leaves no timer when it is rung", async () => {
  const clock = new ManualClock();
  const bell = new Bell(clock);
  const first = bell.wait(100);
  clock.advance(100);
  await first;
  const second = bell.wait(100);
  bell.ring();
  await second;
  expect(clock.pending).toBe(0);
});
