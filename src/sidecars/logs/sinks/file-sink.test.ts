import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { FakeHost } from "../../../testing/fake-host.ts";
import { DELIVERED, makeBatch, makeRecord, openSink, send } from "../../../testing/sink-fixtures.ts";
import type { Sink } from "./sink.ts";

let folder: string;
let path: string;
let host: FakeHost;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pillion-file-sink-"));
  path = join(folder, "app.log");
  host = new FakeHost();
});
afterEach(() => {
  host[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function open(options: object = {}): Sink {
  return openSink({ file: { path, format: "text", ...options } }, host);
}

/** One line of so many bytes, its line end included. */
function lineOf(sink: Sink, name: string, bytes: number) {
  return sink.encode(makeRecord(0, { text: name.padEnd(bytes - 1, ".") }));
}

/** What stands in each file: the names at the beginnings of its lines. */
function contents(): Record<string, string[]> {
  return Object.fromEntries(
    readdirSync(folder)
      .toSorted()
      .map((name) => {
        const bytes = readFileSync(join(folder, name));
        const text = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
        return [name, text.split("\n").map((line) => line.replace(/\.+$/, ""))];
      }),
  );
}

const KIB = 1_024;

describe("file sink", () => {
  test("appends JSON lines to what is there, and makes the folders on the way", async () => {
    const deep = join(folder, "a/b/app.log");
    const sink = openSink({ file: { path: deep } }, host);
    expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    expect(await send(sink, makeBatch(sink, 2))).toEqual(DELIVERED);
    await sink.close();
    const line = (n: number) =>
      `{"time":"2026-11-21T10:00:0${n}.000Z","message":"message ${n}","number":${n}}\n`;
    expect(readFileSync(deep, "utf8")).toBe(line(0) + line(0) + line(1));
  });

  test("begins a new line behind one that a crash tore", async () => {
    writeFileSync(path, "whole\ntor");
    const sink = open();
    await send(sink, [lineOf(sink, "torn", 10)]);
    await sink.close();
    expect(contents()).toEqual({ "app.log": ["whole", "tor", "torn", ""] });
  });

  test("renames the file before it would grow too large, and keeps so many", async () => {
    const sink = open({ maxSize: "64Ki", keep: 2 });
    for (const name of ["a", "b", "c", "d", "e", "f", "g"]) await send(sink, [lineOf(sink, name, 30 * KIB)]);
    await sink.close();
    expect(contents()).toEqual({
      "app.log": ["g", ""],
      "app.log.1": ["e", "f", ""],
      "app.log.2": ["c", "d", ""],
    });
  });

  test("keeps no renamed file with `keep: 0`", async () => {
    const sink = open({ maxSize: "64Ki", keep: 0 });
    for (const name of ["a", "b", "c"]) await send(sink, [lineOf(sink, name, 40 * KIB)]);
    await sink.close();
    expect(contents()).toEqual({ "app.log": ["c", ""] });
  });

  test("writes a batch that is larger than `maxSize` whole, into a file of its own", async () => {
    const sink = open({ maxSize: "64Ki" });
    for (const [name, size] of [
      ["a", 1],
      ["big", 200],
      ["c", 1],
    ] as const)
      await send(sink, [lineOf(sink, name, size * KIB)]);
    await sink.close();
    expect(contents()).toEqual({ "app.log": ["c", ""], "app.log.1": ["big", ""], "app.log.2": ["a", ""] });
  });

  test("packs renamed files with gzip", async () => {
    const sink = open({ maxSize: "64Ki", keep: 2, compress: "gzip" });
    for (const name of ["a", "b", "c", "d"]) await send(sink, [lineOf(sink, name, 40 * KIB)]);
    await sink.close();
    expect(contents()).toEqual({
      "app.log": ["d", ""],
      "app.log.1.gz": ["c", ""],
      "app.log.2.gz": ["b", ""],
    });
  });

  test("follows when somebody else renames, removes or empties the file", async () => {
    const sink = open();
    await send(sink, [lineOf(sink, "a", 10)]);
    renameSync(path, `${path}-moved`);
    await send(sink, [lineOf(sink, "b", 10)]);
    rmSync(path);
    await send(sink, [lineOf(sink, "c", 10)]);
    truncateSync(path);
    await send(sink, [lineOf(sink, "d", 10)]);
    await sink.close();
    expect(contents()).toEqual({ "app.log": ["d", ""], "app.log-moved": ["a", ""] });
  });

  test.each([true, false])("acknowledges with `fsync: %p`", async (fsync) => {
    const sink = open({ fsync });
    expect(await send(sink, makeBatch(sink, 2))).toEqual(DELIVERED);
    await sink.close();
  });
});

describe("file sink, after a crash", () => {
  test("in the middle of renaming: a gap in the numbers is filled, nothing is lost", async () => {
    // It died between renaming `.2` to `.3` and `.1` to `.2`.
    writeFileSync(path, `${"d".padEnd(50 * KIB, ".")}\n`);
    writeFileSync(`${path}.1`, "c\n");
    writeFileSync(`${path}.3`, "a\n");
    const sink = open({ maxSize: "64Ki", keep: 3 });
    await send(sink, [lineOf(sink, "e", 50 * KIB)]);
    await sink.close();
    expect(contents()).toEqual({
      "app.log": ["e", ""],
      "app.log.1": ["d", ""],
      "app.log.2": ["c", ""],
      "app.log.3": ["a", ""],
    });
  });

  test("in the middle of packing: the draft goes, the plain file is packed again", async () => {
    writeFileSync(`${path}.1`, "a\n");
    writeFileSync(`${path}.1.gz.draft`, "half");
    const sink = open({ compress: "gzip" });
    await send(sink, [lineOf(sink, "b", 10)]);
    await sink.close();
    expect(contents()).toEqual({ "app.log": ["b", ""], "app.log.1.gz": ["a", ""] });
  });

  test("behind packing: the packed file is complete, the plain one goes", async () => {
    writeFileSync(`${path}.1`, "a\n");
    writeFileSync(`${path}.1.gz`, gzipSync("a\n"));
    const sink = open({ compress: "gzip" });
    await send(sink, [lineOf(sink, "b", 10)]);
    await sink.close();
    expect(contents()).toEqual({ "app.log": ["b", ""], "app.log.1.gz": ["a", ""] });
  });

  test("files beyond a smaller `keep` are removed", async () => {
    for (const number of [1, 2, 3, 4]) writeFileSync(`${path}.${number}`, `${number}\n`);
    const sink = open({ keep: 2 });
    await send(sink, [lineOf(sink, "b", 10)]);
    await sink.close();
    expect(Object.keys(contents())).toEqual(["app.log", "app.log.1", "app.log.2"]);
  });
});

describe("file sink, unavailable", () => {
  test("when the path cannot be written, until it can", async () => {
    writeFileSync(join(folder, "plain"), "");
    const target = join(folder, "plain/app.log");
    const sink = openSink({ file: { path: target } }, host);
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({
      kind: "unavailable",
      because: { code: "E_SINK_FILE" },
    });
    rmSync(join(folder, "plain"));
    expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    await sink.close();
  });

  test("when the disk is full: says so, and nothing of the batch stays", async () => {
    // Every write to this device fails with ENOSPC (full(4)).
    const sink = openSink({ file: { path: "/dev/full" } }, host);
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({
      kind: "unavailable",
      because: { code: "E_SINK_FULL", message: 'Cannot write "/dev/full": the disk is full' },
    });
    await sink.close();
  });

  test("when the signal has aborted; nothing is written", async () => {
    const sink = open();
    expect(await sink.send(makeBatch(sink, 1), AbortSignal.abort())).toMatchObject({ kind: "unavailable" });
    await sink.close();
    expect(contents()).toEqual({});
  });
});

test("file sink: whatever the sizes and restarts, the files hold every line whole, in order, once", async () => {
  const step = fc.oneof(fc.integer({ min: 2, max: 80 }), fc.constant("restart" as const));
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 25 }),
      fc.constantFrom("gzip", "none"),
      async (steps, compress) => {
        let sink = open({ maxSize: "64Ki", keep: 100, compress });
        const written: string[] = [];
        for (const [index, size] of steps.entries()) {
          if (size === "restart") {
            await sink.close();
            sink = open({ maxSize: "64Ki", keep: 100, compress });
            continue;
          }
          written.push(`${index}`);
          await send(sink, [lineOf(sink, `${index}`, size * KIB)]);
        }
        await sink.close();
        const number = (name: string) => Number(/\d+/.exec(name)?.[0] ?? 0);
        const lines = Object.entries(contents())
          .toSorted(([a], [b]) => number(b) - number(a))
          .flatMap(([, names]) => names.slice(0, -1));
        expect(lines).toEqual(written);
        for (const name of readdirSync(folder)) rmSync(join(folder, name));
      },
    ),
    { numRuns: 20 },
  );
});

test("file sink gives files the mode of the process, readable by others", async () => {
  const sink = open();
  await send(sink, makeBatch(sink, 1));
  appendFileSync(path, "");
  await sink.close();
  expect(statSync(path).mode & 0o777).toBe(0o644 & ~process.umask());
});

const tiny = mkdtempSync(join(tmpdir(), "pillion-tiny-disk-"));
const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", tiny]).status === 0;
afterAll(() => {
  if (isMounted) spawnSync("umount", [tiny]);
  rmSync(tiny, { recursive: true, force: true });
});

test.skipIf(!isMounted)(
  "file sink takes back what fitted of a batch that did not, and goes on when there is room",
  async () => {
    writeFileSync(join(tiny, "ballast"), Buffer.alloc(20 * KIB));
    const sink = openSink({ file: { path: join(tiny, "app.log"), format: "text" } }, host);
    expect(await send(sink, [lineOf(sink, "a", 8 * KIB)])).toEqual(DELIVERED);
    const large = [lineOf(sink, "b", 16 * KIB), lineOf(sink, "c", 30 * KIB)];
    expect(await send(sink, large)).toMatchObject({ kind: "unavailable", because: { code: "E_SINK_FULL" } });
    expect(statSync(join(tiny, "app.log")).size).toBe(8 * KIB);
    rmSync(join(tiny, "ballast"));
    expect(await send(sink, large)).toEqual(DELIVERED);
    await sink.close();
    const lines = readFileSync(join(tiny, "app.log"), "utf8").split("\n");
    expect(lines.map((line) => line.slice(0, 1))).toEqual(["a", "b", "c", ""]);
  },
);
