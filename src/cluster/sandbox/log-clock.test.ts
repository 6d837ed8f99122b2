import { expect, test } from "bun:test";
import { logClock } from "./log-clock.ts";

test("logClock() gives nanosecond digits, follows small steps by the monotonic clock and large ones by the wall clock", () => {
  let wall = Date.UTC(2026, 0, 2, 3, 4, 5, 250);
  let monotonic = 1000;
  const time = logClock({ now: () => wall, monotonic: () => monotonic, schedule: () => () => undefined });
  const seen = [time()];
  monotonic += 0.5;
  seen.push(time());
  monotonic += 750;
  wall += 750;
  seen.push(time());
  wall -= 3_600_000;
  seen.push(time());
  expect(seen).toEqual([
    "2026-01-02T03:04:05.250000000Z",
    "2026-01-02T03:04:05.250500000Z",
    "2026-01-02T03:04:06.000500000Z",
    "2026-01-02T02:04:06.000000000Z",
  ]);
});
