import { expect, test } from "bun:test";
import { GarbageMeter } from "./garbage-meter.ts";

function meterOf(collectMs: number) {
  let [now, collections] = [0, 0];

  const collect = () => {
    collections += 1;
    now += collectMs;
  };
  const meter = new GarbageMeter({ bytes: 100, cpuMs: () => now, collect });
  return {
    work(bytes: number, ms = 0) {
      now += ms;
      meter.made(bytes);
      return collections;
    },
  };
}

test("garbage is collected each time that so much work was done", () => {
  const meter = meterOf(0);
  expect([99, 1, 50, 49, 1, 500, 99].map((bytes) => meter.work(bytes))).toEqual([0, 1, 1, 1, 2, 3, 3]);
});

test("a collection that takes long is not repeated before three times as long has passed", () => {
  const meter = meterOf(10);
  expect(meter.work(100)).toBe(1);
  expect(meter.work(1_000, 29)).toBe(1);
  expect(meter.work(1, 1)).toBe(2);
});
