import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { ManualClock } from "../testing/manual-clock.ts";
import { watchConfig } from "./config-watch.ts";
import { FolderWatches } from "./folder-watches.ts";

const root = mkdtempSync(join(tmpdir(), "pillion-config-"));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;

/** `sees`: whether the kernel tells of changes; otherwise only the poll does. */
function setUp(prepare: (folder: string) => string, sees = true) {
  const folder = join(root, `folder-${(folders += 1)}`);
  mkdirSync(folder);
  const path = prepare(folder);
  const clock = new ManualClock();
  const watches = new FolderWatches(clock, () => undefined);
  if (!sees) watches.watch = () => ({ isLive: false, close: () => undefined });
  const stop = new AbortController();
  const changes: number[] = [];
  const changed = async (): Promise<void> => void changes.push(clock.monotonic());
  const ended = watchConfig({ path, clock, watches, signal: stop.signal, changed });
  return {
    folder,
    path,
    clock,
    /** Moves time on in small steps until so many changes were seen; the file system answers in real time. */
    seen: async (count: number): Promise<void> => {
      while (changes.length < count) {
        clock.advance(50);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    changes: () => changes.length,
    /** As long as anything could take. */
    rest: async (): Promise<number> => {
      for (let turn = 0; turn < 60; turn += 1) {
        clock.advance(500);
        await new Promise((resolve) => setImmediate(resolve));
      }
      return changes.length;
    },
    end: async (): Promise<void> => {
      stop.abort();
      await ended;
      expect([watches.total, clock.pending]).toEqual([0, 0]);
    },
  };
}

function plainFile(folder: string): string {
  const path = join(folder, "pillion.yaml");
  writeFileSync(path, "one");
  return path;
}

test("a file that is written, renamed into place, removed and put back is seen each time", async () => {
  const { path, folder, seen, rest, end } = setUp(plainFile);
  await seen(1); // It is younger than this process: nobody knows which one was read.
  writeFileSync(path, "two");
  await seen(2);
  writeFileSync(join(folder, "draft"), "three");
  renameSync(join(folder, "draft"), path);
  await seen(3);
  rmSync(path);
  await seen(4);
  writeFileSync(path, "four");
  await seen(5);
  expect(await rest()).toBe(5);
  await end();
});

test("the swap of a mounted ConfigMap's ..data is seen", async () => {
  const { folder, seen, end } = setUp((folder) => {
    for (const name of ["..1", "..2"]) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "pillion.yaml"), name);
    }
    symlinkSync("..1", join(folder, "..data"));
    symlinkSync("..data/pillion.yaml", join(folder, "pillion.yaml"));
    return join(folder, "pillion.yaml");
  });
  await seen(1);
  symlinkSync("..2", join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  await seen(2);
  await end();
});

test("without the kernel's help a change is seen all the same", async () => {
  const { path, seen, end } = setUp(plainFile, false);
  await seen(1);
  writeFileSync(path, "two");
  await seen(2);
  await end();
});

test("a file that is being written is read when it has come to rest", async () => {
  const { path, seen, clock, changes, rest, end } = setUp(plainFile);
  await seen(1);
  for (let part = 0; part < 200; part += 1) {
    writeFileSync(path, "x".repeat(part));
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(changes()).toBe(1);
  await seen(2);
  expect(await rest()).toBe(2);
  await end();
});

test("another file of the folder means nothing", async () => {
  const { folder, seen, rest, end } = setUp(plainFile);
  await seen(1);
  writeFileSync(join(folder, "other"), "x");
  utimesSync(folder, 1, 1);
  expect(await rest()).toBe(1);
  await end();
});
