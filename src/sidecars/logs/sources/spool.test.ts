import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseGlob } from "./glob.ts";
import { spooledText, testFolder } from "./push.test-support.ts";
import { Spool } from "./spool.ts";

const MAX_BYTES = 800;
/** What a segment holds before it is closed. */
const SEGMENT = MAX_BYTES / 8;

function openSpool(folder: string, name = "app"): Spool {
  return new Spool({ folder, name, origin: "/var/log/app.fifo", maxBytes: MAX_BYTES });
}

const line = (bytes: number) => Buffer.from(`${"x".repeat(bytes - 1)}\n`);

describe("a spool", () => {
  test("closes a segment behind the line that fills it, and begins the next", () => {
    using folder = testFolder();
    const spool = openSpool(folder.path);
    spool.append(Buffer.concat([line(60), Buffer.from("y".repeat(60))]));
    spool.append(Buffer.from("end\nz\n"));
    spool.append(Buffer.from("next\n"));
    const files = readdirSync(folder.path).toSorted();
    expect(files.map((file) => readFileSync(join(folder.path, file), "utf8").slice(-6))).toEqual([
      "end\nz\n",
      "next\n",
    ]);
    expect(files.map((file) => spool.isClosed(join(folder.path, file)))).toEqual([true, false]);
    spool.close();
  });

  test("goes on in the segment where the last process stopped, within its line", () => {
    using folder = testFolder();
    const first = openSpool(folder.path);
    first.append(line(SEGMENT));
    first.append(Buffer.from("half a "));
    first.close();
    const second = openSpool(folder.path);
    expect([second.endsLine, second.bytes]).toEqual([false, SEGMENT + 7]);
    second.append(Buffer.from("line\n"));
    expect(second.endsLine).toBe(true);
    second.close();
    expect(spooledText(folder.path)).toBe(`${line(SEGMENT).toString()}half a line\n`);
  });

  test("has no room beyond its bound until a closed segment is removed", () => {
    using folder = testFolder();
    const spool = openSpool(folder.path);
    while (spool.room() > 0) spool.append(line(SEGMENT));
    expect(spool.bytes).toBe(MAX_BYTES);
    const [oldest = ""] = readdirSync(folder.path).toSorted();
    rmSync(join(folder.path, oldest));
    expect(spool.room()).toBe(SEGMENT);
    spool.close();
  });

  test("counts what is there from before, and reads no other spool's files", () => {
    using folder = testFolder();
    const spool = openSpool(folder.path);
    for (let index = 0; index < 3; index++) spool.append(line(SEGMENT));
    spool.close();
    writeFileSync(join(folder.path, "app-b-0000000001.log"), "other");
    writeFileSync(join(folder.path, "app-0000000001.log.tmp"), "other");
    const again = openSpool(folder.path);
    expect(again.bytes).toBe(3 * SEGMENT);
    again.close();
  });

  test("closes a segment within a line that has no end", () => {
    using folder = testFolder();
    const spool = openSpool(folder.path);
    while (spool.room() > 0) spool.append(Buffer.from("x".repeat(50)));
    expect(readdirSync(folder.path).length).toBeGreaterThan(2);
    spool.close();
  });

  test("has a pattern for its own segments and no others", () => {
    using folder = testFolder();
    const spool = openSpool(folder.path, "a");
    spool.append(line(10));
    const other = openSpool(folder.path, "a-b");
    other.append(line(10));
    const matched = readdirSync(folder.path).filter((file) =>
      new Bun.Glob(spool.pattern).match(join(folder.path, file)),
    );
    expect(matched).toEqual(["a-0000000001.log"]);
    expect(parseGlob(spool.pattern)).toHaveLength(1);
    spool.close();
    other.close();
  });
});
