import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { type Clock, systemClock } from "../kernel/clock.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { FolderWatches } from "./folder-watches.ts";

const root = mkdtempSync(join(tmpdir(), "pillion-watch-"));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;

function setUp(clock: Clock = systemClock) {
  const folder = join(root, `folder-${(folders += 1)}`);
  mkdirSync(folder);
  const blamed: unknown[] = [];
  return { folder, blamed, watches: new FolderWatches(clock, (thrown) => blamed.push(thrown)) };
}

/** Resolves when `isEnough` says so of the names that were told since; a test's own time limit is the only one. */
function namesUntil(isEnough: (names: ReadonlySet<string | undefined>) => boolean) {
  const { promise, resolve } = Promise.withResolvers<ReadonlySet<string | undefined>>();
  const names = new Set<string | undefined>();
  const changed = (name: string | undefined): void => {
    names.add(name);
    if (isEnough(names)) resolve(names);
  };
  return { promise, changed };
}

function inotifyInstances(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes("inotify");
    } catch {
      return false;
    }
  }).length;
}

test("created, appended, renamed and removed entries are told by name, to everybody who watches", async () => {
  const { folder, watches } = setUp();
  const [one, two] = [namesUntil((names) => names.has("c")), namesUntil((names) => names.has("c"))];
  const [first, second] = [watches.watch(folder, one.changed), watches.watch(folder, two.changed)];
  writeFileSync(join(folder, "a"), "");
  appendFileSync(join(folder, "a"), "x");
  renameSync(join(folder, "a"), join(folder, "b"));
  rmSync(join(folder, "b"));
  symlinkSync("nowhere", join(folder, "c.tmp"));
  renameSync(join(folder, "c.tmp"), join(folder, "c"));
  for (const { promise } of [one, two]) expect(await promise).toEqual(new Set(["a", "b", "c.tmp", "c"]));
  expect([first.isLive, watches.total, watches.polled]).toEqual([true, 1, 0]);
  first.close();
  first.close();
  expect([second.isLive, watches.total]).toEqual([true, 1]);
  second.close();
  expect(watches.total).toBe(0);
});

test("all folders share one inotify instance", () => {
  const watches = new FolderWatches(systemClock, () => undefined);
  const open = Array.from({ length: 20 }, () => watches.watch(setUp().folder, () => undefined));
  expect(inotifyInstances()).toBe(1);
  for (const watch of open) watch.close();
});

test("a burst is told once per name, and a large one as: anything may have happened", async () => {
  const { folder, watches } = setUp();
  const calls: (string | undefined)[] = [];
  const few = namesUntil((names) => names.has("last"));
  const watch = watches.watch(folder, (name) => {
    calls.push(name);
    few.changed(name);
  });
  for (let count = 0; count < 50; count += 1) appendFileSync(join(folder, "same"), "x");
  writeFileSync(join(folder, "last"), "");
  await few.promise;
  expect(calls.filter((name) => name === "same").length).toBeLessThan(5);
  watch.close();
  const many = namesUntil((names) => names.has(undefined));
  const again = watches.watch(folder, many.changed);
  for (let count = 0; count < 1_000; count += 1) writeFileSync(join(folder, `file-${count}`), "");
  await many.promise;
  again.close();
});

test("a folder that is not there or cannot be watched is polled, and watched as soon as that is possible", async () => {
  const clock = new ManualClock();
  const { folder, watches } = setUp(clock);
  const missing = join(folder, "later");
  const told = namesUntil((names) => names.has(undefined));
  const watch = watches.watch(missing, told.changed);
  expect([watch.isLive, watches.polled]).toEqual([false, 1]);
  mkdirSync(missing);
  await untilTold(clock, told.promise);
  expect([watch.isLive, watches.polled]).toEqual([true, 0]);
  watch.close();
  expect(clock.pending).toBe(0);
});

test("a folder that is replaced by another one of that name is watched again", async () => {
  const clock = new ManualClock();
  const { folder, watches } = setUp(clock);
  const told = namesUntil((names) => names.has(undefined));
  const watch = watches.watch(folder, told.changed);
  renameSync(folder, `${folder}.old`);
  mkdirSync(folder);
  await untilTold(clock, told.promise);
  const later = namesUntil((names) => names.has("new"));
  const second = watches.watch(folder, later.changed);
  writeFileSync(join(folder, "new"), "");
  await untilTold(clock, later.promise);
  watch.close();
  second.close();
});

const EXHAUSTED = `
  import { mkdirSync } from "node:fs";
  import { systemClock } from "${join(import.meta.dir, "../kernel/clock.ts")}";
  import { FolderWatches } from "${join(import.meta.dir, "folder-watches.ts")}";
  const watches = new FolderWatches(systemClock, () => undefined);
  const live = ["a", "b", "c", "d", "e"].map((name) => {
    mkdirSync(name);
    return watches.watch(name, () => undefined).isLive;
  });
  console.log(JSON.stringify([live, watches.polled]));
  process.exit(0);
`;
const canLimit = Bun.spawnSync(["unshare", "-Ur", "true"]).success;

test.skipIf(!canLimit).each([
  ["max_inotify_watches", 3, [[true, true, true, false, false], 2]],
  ["max_inotify_instances", 0, [[false, false, false, false, false], 5]],
] as const)(
  "where the kernel's %s is used up, folders are polled and nothing fails",
  async (limit, value, seen) => {
    const cwd = setUp().folder;
    const script = `echo ${value} > /proc/sys/user/${limit} && exec "$0" -e "$1"`;
    const command = ["unshare", "-Ur", "sh", "-c", script, process.execPath, EXHAUSTED];
    const limited = Bun.spawn(command, { cwd, stdout: "pipe", stderr: "inherit" });
    expect(JSON.parse(await new Response(limited.stdout).text())).toEqual(seen);
  },
);

test("a listener that throws harms no other one", async () => {
  const { folder, watches, blamed } = setUp();
  const bad = watches.watch(folder, () => {
    throw new Error("bad");
  });
  const good = namesUntil((names) => names.has("a"));
  const watch = watches.watch(folder, good.changed);
  writeFileSync(join(folder, "a"), "");
  await good.promise;
  expect(blamed).not.toEqual([]);
  bad.close();
  watch.close();
});

test("nothing is told after close()", async () => {
  const clock = new ManualClock();
  const { folder, watches } = setUp(clock);
  const other = namesUntil((names) => names.has("a"));
  let told = 0;
  const watch = watches.watch(folder, () => (told += 1));
  const witness = watches.watch(folder, other.changed);
  writeFileSync(join(folder, "a"), "");
  watch.close();
  await untilTold(clock, other.promise);
  expect(told).toBe(0);
  witness.close();
});

/** Moves the clock on until it has happened; what the file system tells takes real time. */
async function untilTold<Result>(clock: ManualClock, promise: Promise<Result>): Promise<Result> {
  const results: Result[] = [];
  void promise.then((result) => results.push(result));
  while (results.length === 0) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return await promise;
}
