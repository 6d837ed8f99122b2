import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../../kernel/problem.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { openJournal } from "../../../lib/journal.ts";
import { type Checkpoints, openCheckpoints } from "./checkpoints.ts";
import { SILENT, testFolder } from "./delivery.test-support.ts";

function open(folder: string, lanes = ["http", "loki"]): Checkpoints {
  return openCheckpoints({ folder, lanes, clock: new ManualClock(), log: SILENT });
}

function move(checkpoints: Checkpoints, lane: number, moves: Readonly<Record<string, number>>): void {
  const marks = Object.entries(moves).map(([key, to]) => [checkpoints.marksOf(key, 0), to] as const);
  checkpoints.commit(lane, { moves: new Map(marks) });
}

function known(checkpoints: Checkpoints): Record<string, number> {
  return Object.fromEntries([...checkpoints.all()].map(({ key, offset }) => [key, offset]));
}

test("a file's offset is what every sink has, and listeners are told when it moves", () => {
  using folder = testFolder();
  const checkpoints = open(folder.path);
  const moved: unknown[] = [];
  checkpoints.onMoved((...what) => moved.push(what));
  checkpoints.remember("a", { inode: 7 }, 5);
  move(checkpoints, 0, { a: 30 });
  move(checkpoints, 1, { a: 20 });
  move(checkpoints, 1, { a: 10 });
  move(checkpoints, 1, { a: 40 });
  expect(moved).toEqual([
    ["a", 20],
    ["a", 30],
  ]);
  checkpoints.remember("a", { inode: 7, size: 1 });
  checkpoints.close();
  expect(open(folder.path).get("a")).toEqual({ key: "a", offset: 30, identity: { inode: 7, size: 1 } });
});

test("what was emptied begins at 0 and what was forgotten is gone, also after a restart", () => {
  using folder = testFolder();
  const checkpoints = open(folder.path);
  for (const key of ["a", "b", "c"]) checkpoints.remember(key, null);
  const stale = checkpoints.marksOf("a", 0);
  for (const lane of [0, 1]) move(checkpoints, lane, { a: 100, b: 100, c: 100 });
  checkpoints.reset("a", { second: true });
  checkpoints.forget("b");
  checkpoints.commit(0, { moves: new Map([[stale, 200]]) });
  for (const lane of [0, 1]) move(checkpoints, lane, { a: 7 });
  checkpoints.close();
  const again = open(folder.path);
  expect(known(again)).toEqual({ a: 7, c: 100 });
  expect(again.get("a")?.identity).toEqual({ second: true });
});

test("what was in flight is told at the next start, once, and also when the file was written anew meanwhile", () => {
  using folder = testFolder();
  const checkpoints = open(folder.path);
  checkpoints.remember("a", null);
  checkpoints.commit(1, { inFlight: { records: 12, bytes: 345 } });
  for (let offset = 1; offset < 60_000; offset += 1) move(checkpoints, 0, { a: offset });
  expect(readFileSync(join(folder.path, "checkpoints"), "utf8")).toContain('{"i":[12,345]}');
  checkpoints.close();
  const again = open(folder.path);
  expect(again.interrupted).toEqual([
    { records: 0, bytes: 0 },
    { records: 12, bytes: 345 },
  ]);
  again.close();
  const untold = open(folder.path);
  expect(untold.interrupted[1]?.records).toBe(12);
  untold.forgetInterrupted();
  untold.close();
  expect(open(folder.path).interrupted[1]?.records).toBe(0);
});

test("sinks may be reordered, added and left out", () => {
  using folder = testFolder();
  const first = open(folder.path, ["http", "loki"]);
  first.remember("a", null);
  move(first, 0, { a: 10 });
  move(first, 1, { a: 20 });
  const span = { head: { segment: 1, offset: 0, index: 0 }, tail: { segment: 1, offset: 99, index: 0 } };
  first.commit(1, { buffer: span });
  first.close();
  const second = open(folder.path, ["stdout", "http"]);
  expect([second.offsetOf("a", 0), second.offsetOf("a", 1)]).toEqual([10, 10]);
  move(second, 0, { a: 50 });
  move(second, 1, { a: 60 });
  second.close();
  const third = open(folder.path, ["loki", "http"]);
  expect([third.offsetOf("a", 0), third.offsetOf("a", 1), third.laneOf(0).buffer]).toEqual([50, 60, span]);
  third.close();
});

test("whatever byte of the journal is damaged, offsets are at most what they were, and it is told", () => {
  using folder = testFolder();
  const checkpoints = open(folder.path);
  for (let round = 1; round <= 5; round += 1) {
    checkpoints.remember(`f${round}`, { round });
    for (const lane of [0, 1]) move(checkpoints, lane, { f1: round * 10, [`f${round}`]: round * 10 });
  }
  const offsets = known(checkpoints);
  checkpoints.close();
  const path = join(folder.path, "checkpoints");
  const bytes = readFileSync(path);
  fc.assert(
    fc.property(fc.nat(bytes.length - 2), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ flip;
      for (const name of readdirSync(folder.path)) rmSync(join(folder.path, name));
      writeFileSync(path, changed);
      const damaged = open(folder.path);
      for (const { key, offset } of damaged.all()) expect(offset).toBeLessThanOrEqual(offsets[key] ?? -1);
      expect(damaged.isExact).toBe(false);
      expect(damaged.troubles()).toMatchObject([{ code: "E_CHECKPOINTS_DAMAGED" }]);
      expect(readdirSync(folder.path).sort()).toEqual(["checkpoints", "checkpoints.damaged-1"]);
      damaged.close();
      expect(open(folder.path).troubles()).toEqual([]);
    }),
  );
});

test("checkpoints of a newer version are left alone", () => {
  using folder = testFolder();
  const { journal } = openJournal(join(folder.path, "checkpoints"));
  journal.replace([{ v: 99, lanes: [] }]);
  journal.close();
  const code = (() => {
    try {
      open(folder.path);
      return "opened";
    } catch (error) {
      return error instanceof Problem ? error.code : error;
    }
  })();
  expect([code, readdirSync(folder.path)]).toEqual(["E_STATE_NEWER", ["checkpoints"]]);
});

test("a store that is closed leaves the journal to its successor, whatever is still noted", async () => {
  using folder = testFolder();
  const clock = new ManualClock();
  const former = openCheckpoints({ folder: folder.path, lanes: ["http"], clock, log: SILENT });
  move(former, 0, { a: 10 });
  former.close();
  const successor = open(folder.path, ["http"]);
  former.remember("late", null);
  former.clearReplayed();
  await Promise.resolve();
  expect(clock.pending).toBe(0);
  clock.advance(5_000);
  move(successor, 0, { a: 20 });
  successor.close();
  expect(known(open(folder.path, ["http"]))).toEqual({ a: 20 });
});
