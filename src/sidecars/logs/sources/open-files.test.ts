import {
  appendFileSync,
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "bun:test";
import { Problem } from "../../../kernel/problem.ts";
import { Reading, temporaryFolder } from "./reading.test-support.ts";

const LONG_QUIET_MS = 8_000;
/** So long a pattern may have no file before it is told of. */
const PATIENCE_MS = 10_000;

describe("finding files", () => {
  test("matches braces and folders of any depth, also those that are made later", async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.at("a/one.log"), "one\n");
    writeFileSync(folder.at("a/one.txt"), "no\n");
    const reading = new Reading({ patterns: [`${folder.path}/**/*.{log,out}`] });
    await reading.pass(500);
    writeFileSync(folder.at("b/c/d/two.out"), "two\n");
    writeFileSync(folder.at("three.log"), "three\n");
    await reading.pass(1_500);
    expect(reading.lines.toSorted()).toEqual(["one", "three", "two"]);
    reading.close();
  });

  test("waits for a folder that is not there", async () => {
    using folder = temporaryFolder();
    const reading = new Reading({ patterns: [`${folder.path}/later/on/*.log`] });
    await reading.pass(PATIENCE_MS);
    expect(reading.source.troubles()).toHaveLength(1);
    writeFileSync(folder.at("later/on/a.log"), "here\n");
    await reading.pass(1_500);
    expect({ lines: reading.lines, troubles: reading.source.troubles() }).toEqual({
      lines: ["here"],
      troubles: [],
    });
    reading.close();
  });

  test("reads a file once that has several names, and ends in folders that contain themselves", async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.at("real/app.log"), "one\n");
    linkSync(folder.at("real/app.log"), folder.at("real/hard.log"));
    symlinkSync(folder.at("real/app.log"), folder.at("soft.log"));
    symlinkSync(folder.path, folder.at("real/loop"));
    symlinkSync(folder.at("real"), folder.at("again"));
    symlinkSync("nowhere", folder.at("broken.log"));
    const reading = new Reading({ patterns: [`${folder.path}/**/*.log`] });
    expect(await reading.finish()).toEqual(["one"]);
  });

  test("follows a link that is turned to another file", async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.at("one"), "one\n");
    writeFileSync(folder.at("two"), "two\n");
    const current = folder.at("links/current.log");
    symlinkSync(folder.at("one"), current);
    const reading = new Reading({ patterns: [`${folder.path}/links/*.log`] });
    await reading.pass(500);
    rmSync(current);
    symlinkSync(folder.at("two"), current);
    await reading.pass(1_500);
    expect(reading.lines).toEqual(["one", "two"]);
    reading.close();
  });

  test("leaves out what is excluded, hidden files and what is no file", async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.at("a.log"), "a\n");
    writeFileSync(folder.at("debug.log"), "debug\n");
    writeFileSync(folder.at("sub/b.log"), "b\n");
    writeFileSync(folder.at(".hidden.log"), "hidden\n");
    mkdirSync(folder.at("folder.log"));
    const reading = new Reading({
      patterns: [`${folder.path}/**/*.log`],
      exclude: ["debug*", `${folder.path}/sub/*`],
    });
    expect(await reading.finish()).toEqual(["a"]);
  });

  test("tells of patterns without files, once the application has had time to make them", async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.at("a.log"), "a\n");
    const reading = new Reading({ patterns: [`${folder.path}/*.log`, `${folder.path}/*.txt`] });
    await reading.pass(PATIENCE_MS - 2_000);
    expect(reading.source.troubles()).toEqual([]);
    await reading.pass(2_000);
    const [trouble] = reading.source.troubles();
    expect(trouble).toBeInstanceOf(Problem);
    expect(trouble).toMatchObject({ code: "E_FILES_NONE", message: expect.stringContaining("*.txt") });
    // What is rotated away may be there again soon.
    rmSync(folder.at("a.log"));
    await reading.pass(2_000);
    expect(reading.source.troubles()).toHaveLength(1);
    await reading.pass(PATIENCE_MS);
    expect(reading.source.troubles()).toHaveLength(2);
    reading.close();
  });

  test.skipIf(process.getuid?.() === 0)("tells who may read a file that this user may not", async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.at("a.log"), "a\n");
    chmodSync(folder.at("a.log"), 0);
    const reading = new Reading({ patterns: [`${folder.path}/*.log`] });
    await reading.pass(500);
    expect(reading.source.troubles()).toMatchObject([{ code: "E_FILE_UNREADABLE" }]);
    chmodSync(folder.at("a.log"), 0o644);
    await reading.pass(6_000);
    expect({ lines: reading.lines, troubles: reading.source.troubles() }).toEqual({
      lines: ["a"],
      troubles: [],
    });
    reading.close();
  });

  test("begins at the end of what is there at the very first start, at the start of an unfinished line", async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.at("a.log"), "old\nhalf");
    const options = { patterns: [`${folder.path}/*.log`], readFrom: "end" } as const;
    const reading = new Reading(options);
    await reading.pass(500);
    appendFileSync(folder.at("a.log"), " whole\n");
    writeFileSync(folder.at("b.log"), "new\n");
    await reading.pass(1_500);
    expect(reading.lines).toEqual(["half whole", "new"]);
    const checkpoints = reading.kill();
    writeFileSync(folder.at("c.log"), "made meanwhile\n");
    const next = new Reading({ ...options, checkpoints });
    expect(await next.finish()).toEqual(["made meanwhile"]);
  });
});

describe("reading", () => {
  test("gives lines as they are written, an unfinished one once it is finished", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\r\ntwo\nthr");
    const reading = new Reading({ patterns: [log] });
    await reading.pass(500);
    expect(reading.lines).toEqual(["one\r", "two"]);
    appendFileSync(log, "ee\nfour");
    await reading.pass(1_500);
    expect(reading.lines).toEqual(["one\r", "two", "three"]);
    expect(await reading.finish()).toEqual(["one\r", "two", "three", "four"]);
    expect(reading.chunks.at(-1)?.isLast).toBe(true);
  });

  test("cuts lines that are too long, between characters, and goes on", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    const long = `${"x".repeat(1023)}é${"y".repeat(2_000)}`;
    writeFileSync(log, `short\n${long}\nafter\n${"z".repeat(1024)}\nlast\n`);
    const reading = new Reading({ patterns: [log], maxLineBytes: 1024 });
    await reading.finish();
    expect(reading.lines.map((line) => line.length)).toEqual([5, 1023, 1023, 978, 5, 1024, 4]);
    expect(reading.lines.slice(1, 4).join("")).toBe(long);
    expect(reading.chunks.filter(({ isCut }) => isCut)).toHaveLength(2);
  });

  test("takes lines that are longer than one read whole where they may be", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, `${"a".repeat(700_000)}\nb\n`);
    const reading = new Reading({ patterns: [log], maxLineBytes: 1024 * 1024 });
    await reading.finish();
    expect(reading.lines.map((line) => line.length)).toEqual([700_000, 1]);
  });

  test("lets files take turns", async () => {
    using folder = temporaryFolder();
    const line = `${"x".repeat(1023)}\n`;
    for (const name of ["a.log", "b.log"]) writeFileSync(folder.at(name), line.repeat(2_000));
    const reading = new Reading({ patterns: [`${folder.path}/*.log`] });
    await reading.finish();
    const order = reading.chunks.slice(0, 6).map(({ path }) => path.at(-5));
    expect(order).toEqual(["a", "b", "a", "b", "a", "b"]);
  });

  test("skips NULs at the beginning, a hole of 10 GB too, at bounded memory", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    const file = openSync(log, "w");
    ftruncateSync(file, 10 * 2 ** 30);
    writeSync(file, "behind\nwith \0 inside\n", 10 * 2 ** 30);
    closeSync(file);
    let skipped = 0;
    const reading = new Reading({ patterns: [log], events: { skippedNuls: (bytes) => (skipped += bytes) } });
    expect(await reading.finish()).toEqual(["behind", "with \0 inside"]);
    expect({ skipped, start: reading.chunks[0]?.start }).toEqual({
      skipped: 10 * 2 ** 30,
      start: 10 * 2 ** 30,
    });
  });

  test("steps over a hole amid the text, and goes on behind it after a restart", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "first\n");
    truncateSync(log, 10 * 2 ** 30);
    appendFileSync(log, "last\n");
    let skipped = 0;
    const reading = new Reading({ patterns: [log], events: { skippedNuls: (bytes) => (skipped += bytes) } });
    await reading.until(() => reading.lines.at(-1) === "last");
    expect(reading.lines.filter((line) => !line.includes("\0"))).toEqual(["first", "last"]);
    expect(skipped).toBeGreaterThan(10 * 2 ** 30 - 8_192);
    appendFileSync(log, "more\n");
    const next = new Reading({ patterns: [log], checkpoints: reading.kill() });
    expect(await next.finish()).toEqual(["more"]);
  });

  test("gives up the thread while it reads a huge line of NULs", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "x");
    truncateSync(log, 512 * 2 ** 20);
    Bun.gc(true);
    const before = process.memoryUsage().rss;
    const reading = new Reading({ patterns: [log], isDelivering: false });
    let turns = 0;
    const count = setInterval(() => turns++, 1);
    reading.source.finish();
    let bytes = 0;
    for (
      let chunk = await reading.source.next(0);
      chunk !== undefined;
      chunk = await reading.source.next(0)
    ) {
      if (chunk !== "idle") bytes += chunk.bytes.length;
      else await new Promise((resolve) => setImmediate(resolve));
    }
    clearInterval(count);
    reading.close();
    expect(bytes).toBe(512 * 2 ** 20);
    expect(turns).toBeGreaterThan(5);
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 2 ** 20);
  });

  test("reads thousands of files with few of them open", async () => {
    using folder = temporaryFolder();
    mkdirSync(folder.at("logs"));
    for (let index = 0; index < 2_000; index++)
      writeFileSync(folder.at(`logs/${index}.log`), `line ${index}\n`);
    const reading = new Reading({ patterns: [`${folder.path}/logs/*.log`], mostOpen: 50 });
    await reading.until(() => reading.lines.length === 2_000);
    for (let index = 0; index < 2_000; index += 100) appendFileSync(folder.at(`logs/${index}.log`), "more\n");
    await reading.pass(12_000);
    expect(reading.lines.filter((line) => line === "more")).toHaveLength(20);
    expect(new Set(reading.lines).size).toBe(2_001);
    reading.close();
  });

  test("abandoning ends it at once and leaves the rest for the next start", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\n");
    const reading = new Reading({ patterns: [log] });
    await reading.pass(200);
    appendFileSync(log, "two\n");
    reading.source.abandon();
    expect(await reading.source.next(1_000)).toBeUndefined();
    reading.close();
    const next = new Reading({ patterns: [log], checkpoints: reading.checkpoints });
    expect(await next.finish()).toEqual(["two"]);
  });

  test("finishing reads files of the last moment, without that time passes", async () => {
    using folder = temporaryFolder();
    const reading = new Reading({ patterns: [`${folder.path}/*.log`] });
    writeFileSync(folder.at("a.log"), "last words");
    reading.source.finish();
    const lines: string[] = [];
    for (
      let chunk = await reading.source.next(60_000);
      chunk !== undefined;
      chunk = await reading.source.next(60_000)
    )
      if (chunk !== "idle") lines.push(Buffer.from(chunk.bytes).toString());
    reading.close();
    expect({ lines, pending: reading.clock.pending }).toEqual({ lines: ["last words"], pending: 0 });
  });
});

describe("identity", () => {
  test("a renamed file is read to its end before the new one, and says when it is quiet", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\n");
    const reading = new Reading({ patterns: [`${folder.path}/*.log`] });
    await reading.pass(500);
    appendFileSync(log, "two\n");
    renameSync(log, `${log}.1`);
    writeFileSync(log, "three\n");
    appendFileSync(`${log}.1`, "two and a half");
    await reading.pass(LONG_QUIET_MS);
    expect(reading.lines.toSorted()).toEqual(["one", "three", "two", "two and a half"]);
    expect(reading.chunks.filter(({ isLast }) => isLast)).toHaveLength(1);
    appendFileSync(`${log}.1`, "\nlate\n");
    await reading.pass(LONG_QUIET_MS);
    expect(reading.lines.slice(-1)).toEqual(["late"]);
    reading.close();
  });

  test("copytruncate: what stands in the copy comes first, and not twice", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\ntwo\n");
    const reading = new Reading({ patterns: [`${folder.path}/app.log*`] });
    await reading.pass(500);
    appendFileSync(log, "three\n");
    copyFileSync(log, `${log}.1`);
    truncateSync(log);
    appendFileSync(log, "four\n");
    await reading.pass(LONG_QUIET_MS);
    expect(await reading.finish()).toEqual(["one", "two", "three", "four"]);
  });

  test("a copy that is seen before the log is emptied is waited for", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\n");
    const reading = new Reading({ patterns: [`${folder.path}/app.log*`] });
    await reading.pass(500);
    appendFileSync(log, "two\n");
    const copy = openSync(`${log}.1`, "w");
    await reading.pass(1_500);
    writeSync(copy, "one\n");
    await reading.pass(1_500);
    appendFileSync(log, "three\n");
    writeSync(copy, "two\nthree\n");
    closeSync(copy);
    await reading.pass(1_500);
    truncateSync(log);
    await reading.pass(LONG_QUIET_MS);
    expect(await reading.finish()).toEqual(["one", "two", "three"]);
  });

  test("truncated and written anew beyond the old offset: all of it is new", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    const unread: number[] = [];
    writeFileSync(log, "header\nold 1\nold 2\n");
    const reading = new Reading({ patterns: [log], events: { replaced: (_, bytes) => unread.push(bytes) } });
    await reading.pass(500);
    writeFileSync(log, "header\nnew 1 is longer\nnew 2 is longer\n");
    await reading.pass(1_500);
    expect(reading.lines).toEqual([
      "header",
      "old 1",
      "old 2",
      "header",
      "new 1 is longer",
      "new 2 is longer",
    ]);
    expect(new Set(reading.chunks.map(({ key }) => key)).size).toBe(2);
    reading.close();
  });

  test("a writer that does not append leaves a hole after truncation", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    const file = openSync(log, "w");
    writeSync(file, "one\n".repeat(5_000));
    const reading = new Reading({ patterns: [log] });
    await reading.pass(500);
    truncateSync(log);
    writeSync(file, "two\n");
    await reading.pass(1_500);
    expect(reading.lines.slice(4_999)).toEqual(["one", "two"]);
    closeSync(file);
    reading.close();
  });

  test("two files with the same first lines are two files", async () => {
    using folder = temporaryFolder();
    for (const name of ["a.log", "b.log"]) writeFileSync(folder.at(name), "start\n");
    const reading = new Reading({ patterns: [`${folder.path}/*.log`] });
    await reading.pass(500);
    appendFileSync(folder.at("b.log"), "b\n");
    await reading.pass(1_500);
    expect(reading.lines).toEqual(["start", "start", "b"]);
    expect(await reading.finish()).toHaveLength(3);
  });

  test("an inode that is used again while nobody looks is another file, with the same first bytes too", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    for (let attempt = 0; attempt < 20; attempt++) {
      writeFileSync(log, "start\n");
      const { ino } = statSync(log);
      const reading = new Reading({ patterns: [log] });
      await reading.pass(200);
      const checkpoints = reading.kill();
      rmSync(log);
      writeFileSync(log, "start\nsecond\n");
      const isReused = statSync(log).ino === ino;
      const next = new Reading({ patterns: [log], checkpoints });
      expect(await next.finish()).toEqual(["start", "second"]);
      rmSync(log);
      if (isReused) return;
    }
  });

  test("a restart goes on where the checkpoint is, after a rename too", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\n");
    const first = new Reading({ patterns: [log] });
    await first.pass(200);
    const checkpoints = first.kill();
    appendFileSync(log, "two\n");
    renameSync(log, `${log}.1`);
    writeFileSync(log, "three\n");
    renameSync(`${log}.1`, `${log}.2`);
    renameSync(log, `${log}.1`);
    writeFileSync(log, "four\n");
    const second = new Reading({ patterns: [log], checkpoints });
    expect(await second.finish()).toEqual(["two", "three", "four"]);
  });

  test("after downtime with a compressed rotation the rest comes out of the compressed file", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\ntwo\n");
    const first = new Reading({ patterns: [log] });
    await first.pass(200);
    const checkpoints = first.kill();
    writeFileSync(`${log}.1.gz`, gzipSync("one\ntwo\nthree\n"));
    rmSync(log);
    writeFileSync(log, "four\n");
    const second = new Reading({ patterns: [log], checkpoints });
    expect(await second.finish()).toEqual(["three", "four"]);
  });

  test("damaged checkpoints cost duplicates, no lines", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\n");
    const first = new Reading({ patterns: [log] });
    await first.pass(200);
    for (const [key, kept] of first.checkpoints.kept)
      first.checkpoints.kept.set(key, { ...kept, identity: { nonsense: true } });
    const second = new Reading({ patterns: [log], checkpoints: first.kill() });
    expect(await second.finish()).toEqual(["one"]);
  });

  test("the wall clock does not matter", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\n");
    const reading = new Reading({ patterns: [log] });
    await reading.pass(500);
    reading.clock.jump(-3_600_000);
    appendFileSync(log, "two\n");
    await reading.pass(1_500);
    expect(reading.lines).toEqual(["one", "two"]);
    reading.close();
  });

  test("files that are gone and delivered are forgotten", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    writeFileSync(log, "one\n");
    const reading = new Reading({ patterns: [log] });
    await reading.pass(500);
    rmSync(log);
    await reading.pass(20_000);
    expect({ kept: reading.checkpoints.kept.size, progress: [...reading.source.progress()] }).toEqual({
      kept: 0,
      progress: [],
    });
    reading.close();
  });
});

describe("gzip", () => {
  test("reads compressed files of several members, and an unfinished last line", async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.at("a.gz"), Buffer.concat([gzipSync("one\ntw"), gzipSync("o\nthree")]));
    const reading = new Reading({ patterns: [`${folder.path}/*.gz`] });
    await reading.until(() => reading.lines.length === 3);
    const checkpoints = reading.kill();
    const again = new Reading({ patterns: [`${folder.path}/*.gz`], checkpoints });
    expect([reading.lines, await again.finish()]).toEqual([["one", "two", "three"], []]);
  });

  test("reads what can be read of a damaged one, once, and tells of it", async () => {
    using folder = temporaryFolder();
    const whole = gzipSync(Array.from({ length: 5_000 }, (_, index) => `line ${index}\n`).join(""));
    writeFileSync(folder.at("cut.gz"), whole.subarray(0, whole.length - 2_000));
    writeFileSync(folder.at("no.gz"), "no gzip at all");
    const reading = new Reading({ patterns: [`${folder.path}/*.gz`] });
    await reading.until(() => reading.source.troubles().length === 2);
    expect(reading.source.troubles()).toMatchObject([{ code: "E_FILE_DAMAGED" }, { code: "E_FILE_DAMAGED" }]);
    const { length } = reading.lines;
    expect(length).toBeGreaterThan(1_000);
    await reading.pass(LONG_QUIET_MS);
    expect(await reading.finish()).toHaveLength(length);
  });

  test("expands a bomb at bounded memory", async () => {
    using folder = temporaryFolder();
    const member = gzipSync(Buffer.alloc(4 * 2 ** 20, `${"x".repeat(63)}\n`));
    writeFileSync(folder.at("bomb.gz"), Buffer.concat(Array.from({ length: 96 }, () => member)));
    Bun.gc(true);
    const reading = new Reading({ patterns: [`${folder.path}/*.gz`], isOnce: true });
    let bytes = 0;
    const before = process.memoryUsage().rss;
    for (
      let chunk = await reading.source.next(1_000);
      chunk !== undefined;
      chunk = await reading.source.next(1_000)
    )
      if (chunk !== "idle") bytes += chunk.bytes.length;
    reading.close();
    expect(bytes).toBe(384 * 2 ** 20);
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 2 ** 20);
  });
});

describe("upkeep", () => {
  const size = 64 * 1024;
  const text = "0123456789abcdef\n".repeat(8_000);

  test("rename: the application's next file is read, the old one removed when nobody writes to it", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    const file = openSync(log, "a");
    writeSync(file, text);
    const reading = new Reading({ patterns: [log], rotate: { size, by: "rename" } });
    await reading.pass(2_000);
    expect(existsSync(log)).toBe(false);
    writeSync(file, "still there\n");
    await reading.pass(LONG_QUIET_MS);
    expect(reading.lines.at(-1)).toBe("still there");
    writeFileSync(log, "new\n");
    await reading.pass(LONG_QUIET_MS);
    const rotated = (): string[] => [...new Bun.Glob("app.log.pillion-*").scanSync(folder.path)];
    expect(rotated()).toHaveLength(1);
    closeSync(file);
    await reading.pass(LONG_QUIET_MS);
    expect({ rotated: rotated(), last: reading.lines.at(-1), count: reading.lines.length }).toEqual({
      rotated: [],
      last: "new",
      count: 8_002,
    });
    reading.close();
  });

  test("rename: an application that keeps its descriptor is told of", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    const file = openSync(log, "a");
    writeSync(file, text);
    const reading = new Reading({ patterns: [log], rotate: { size, by: "rename" } });
    await reading.pass(2_000);
    writeSync(file, text);
    await reading.pass(2_000);
    expect(reading.source.troubles()).toContainEqual(
      expect.objectContaining({ code: "E_ROTATION_UNNOTICED" }),
    );
    closeSync(file);
    reading.close();
  });

  test("rename: a file that an earlier run renamed is removed too, and one that grew fast before it", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    const file = openSync(log, "a");
    writeSync(file, text.repeat(4));
    const options = { patterns: [log], rotate: { size, by: "rename" } } as const;
    const reading = new Reading(options);
    await reading.pass(2_000);
    const troubles = reading.source.troubles().filter((trouble) => !JSON.stringify(trouble).includes("NONE"));
    expect({ isRenamed: !existsSync(log), troubles }).toEqual({ isRenamed: true, troubles: [] });
    closeSync(file);
    const next = new Reading({ ...options, checkpoints: reading.kill() });
    await next.pass(2 * LONG_QUIET_MS);
    expect([...new Bun.Glob("app.log.pillion-*").scanSync(folder.path)]).toEqual([]);
    next.close();
  });

  test("hole: delivered blocks are given back while the application writes on, and restarts go on", async () => {
    using folder = temporaryFolder();
    const log = folder.at("app.log");
    const file = openSync(log, "a");
    writeSync(file, text);
    const reading = new Reading({ patterns: [log], rotate: { size, by: "hole" } });
    await reading.pass(2_000);
    writeSync(file, "more\n");
    await reading.pass(2_000);
    expect(reading.lines.slice(-1)).toEqual(["more"]);
    expect(reading.lines).toHaveLength(8_001);
    expect(statSync(log).blocks * 512).toBeLessThan(32 * 1024);
    writeSync(file, text);
    const next = new Reading({ patterns: [log], checkpoints: reading.kill() });
    expect(await next.finish()).toHaveLength(8_000);
    closeSync(file);
  });

  test("remove: only what is delivered, unchanged and written by nobody", async () => {
    using folder = temporaryFolder();
    for (const name of ["done.log", "open.log", "target"]) writeFileSync(folder.at(name), "x\n");
    symlinkSync(folder.at("target"), folder.at("link.log"));
    const file = openSync(folder.at("open.log"), "a");
    const options = { patterns: [`${folder.path}/*.log`], remove: { after: 2_000 } };
    const reading = new Reading({ ...options, isDelivering: false });
    await reading.pass(20_000);
    expect(existsSync(folder.at("done.log"))).toBe(true);
    const next = new Reading({ ...options, checkpoints: reading.kill() });
    await next.pass(20_000);
    const left = ["done.log", "open.log", "link.log", "target"].filter((name) => existsSync(folder.at(name)));
    expect(left).toEqual(["open.log", "link.log", "target"]);
    closeSync(file);
    await next.pass(20_000);
    expect(existsSync(folder.at("open.log"))).toBe(false);
    next.close();
  });
});
