import { expect, test } from "bun:test";
import type { Delivery } from "./delivery/delivery.ts";
import { LagTracker } from "./lag.ts";
import type { ChunkSource, FileProgress } from "./sources/chunk.ts";

function lagsOf(files: readonly FileProgress[], offsets: Readonly<Record<string, number>>) {
  const source = { progress: () => files } satisfies Pick<ChunkSource, "progress">;
  const lane = { sink: "http", queuedRecords: 0, queuedBytes: 0, bufferedBytes: 0, trouble: undefined };
  const delivery = {
    lanes: () => [{ ...lane, offsetOf: (key: string) => offsets[key] ?? 0 }],
  } satisfies Pick<Delivery, "lanes">;
  return new LagTracker({ source, delivery, monotonic: () => 10_000 }).all();
}

function file(key: string, path: string, size: number): FileProgress {
  return { origin: { key, path }, size, readTo: 0, behindSince: 4_000 };
}

test("a file and what was rotated away from under its name count together", () => {
  const files = [file("1", "/a.log", 500), file("2", "/a.log", 70), file("3", "/b.log", 0)];
  expect(lagsOf(files, { "1": 100, "2": 70 })).toEqual([
    { file: "/a.log", sink: "http", bytes: 400, seconds: 6 },
    { file: "/b.log", sink: "http", bytes: 0, seconds: 0 },
  ]);
});

test("the files that are furthest behind have names, thousands of others share one", () => {
  const files = Array.from({ length: 1_000 }, (_, number) => file(`${number}`, `/${number}.log`, number));
  const lags = lagsOf(files, {});
  expect(lags.length).toBe(101);
  expect([lags[0]?.bytes, lags.at(-1)?.file]).toEqual([999, "(others)"]);
  expect(lags.reduce((sum, { bytes }) => sum + bytes, 0)).toBe((999 * 1_000) / 2);
});
