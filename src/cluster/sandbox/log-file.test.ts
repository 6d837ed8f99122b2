import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { LogFile, rotatedLogs } from "./log-file.ts";

const folder = mkdtempSync(join(tmpdir(), "log-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const START = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

describe("LogFile", () => {
  test("append() adds to what is there and makes missing folders", () => {
    const path = join(folder, "a/b/0.log");
    const first = new LogFile({ path });
    first.append(Buffer.from("one\n"), START);
    first.close();
    const second = new LogFile({ path });
    second.append(Buffer.from("two\n"), START);
    second.close();
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
  });

  test("append() rotates before the limit is passed, keeps the newest files and names them by age [M4]", () => {
    const path = join(folder, "rotate/0.log");
    const log = new LogFile({ path, maxBytes: 10, maxFiles: 3 });
    for (const text of ["11111111\n", "22222222\n", "33333333\n", "44444444\n", "5\n"]) {
      log.append(Buffer.from(text), START);
    }
    log.close();
    const rotated = rotatedLogs(path);
    expect(rotated.map((file) => [basename(file), readFileSync(file, "utf8")])).toEqual([
      ["0.log.20260102-030405.008", "33333333\n"],
      ["0.log.20260102-030405.009", "44444444\n"],
    ]);
    expect(readFileSync(path, "utf8")).toBe("5\n");
  });

  test("append() keeps five files of ten MiB unless told otherwise [M4]", () => {
    const file = new LogFile({ path: join(folder, "big.log") });
    const block = Buffer.alloc(5 * 1024 * 1024, "x");
    for (let index = 0; index < 14; index++) file.append(block, index);
    file.close();
    const names = readdirSync(folder).filter((name) => name.startsWith("big.log"));
    expect(names).toHaveLength(5);
    for (const name of names) expect(statSync(join(folder, name)).size).toBe(10 * 1024 * 1024);
  });

  test("append() counts what an earlier run left in the file", () => {
    const path = join(folder, "resume.log");
    writeFileSync(path, "12345678\n");
    const log = new LogFile({ path, maxBytes: 10 });
    log.append(Buffer.from("new\n"), START);
    log.close();
    expect(readFileSync(path, "utf8")).toBe("new\n");
  });

  test("append() puts a batch above the limit into a file of its own instead of failing", () => {
    const path = join(folder, "huge.log");
    const log = new LogFile({ path, maxBytes: 10 });
    log.append(Buffer.from(`${"x".repeat(50)}\n`), START);
    log.close();
    expect([statSync(path).size, rotatedLogs(path)]).toEqual([51, []]);
  });

  test("rotatedLogs() ignores files that only look alike", () => {
    const path = join(folder, "alike.log");
    for (const name of [
      "",
      ".gz",
      ".20260102-030405.006.gz",
      "2.20260102-030405.006",
      ".20260102-030405.006",
    ]) {
      writeFileSync(path + name, "");
    }
    expect(rotatedLogs(path)).toEqual([`${path}.20260102-030405.006`]);
  });
});
