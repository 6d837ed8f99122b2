import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { hasWriter, nextData, punchHole } from "./file-calls.ts";

const folder = mkdtempSync(join(tmpdir(), "pillion-file-calls-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("punchHole() gives blocks back and nextData() finds what is behind", () => {
  const path = join(folder, "holes");
  writeFileSync(path, Buffer.alloc(1024 * 1024, 1));
  const file = openSync(path, "r+");
  const before = statSync(path).blocks;
  expect(punchHole(file, 0, 512 * 1024)).toBe(true);
  expect({ size: statSync(path).size, data: nextData(file, 0) }).toEqual({
    size: 1024 * 1024,
    data: 512 * 1024,
  });
  expect(statSync(path).blocks).toBeLessThan(before);
  expect(nextData(file, 1024 * 1024)).toBeUndefined();
  closeSync(file);
});

test("punchHole() says no where the descriptor may not write", () => {
  const path = join(folder, "readonly");
  writeFileSync(path, "x".repeat(8192));
  const file = openSync(path, "r");
  expect(punchHole(file, 0, 4096)).toBe(false);
  closeSync(file);
});

test("hasWriter() knows whether somebody has the file open for writing", () => {
  const path = join(folder, "written");
  writeFileSync(path, "x");
  const reader = openSync(path, "r");
  const alone = hasWriter(reader);
  const writer = openSync(path, "a");
  const accompanied = hasWriter(reader);
  closeSync(writer);
  expect([alone, accompanied, hasWriter(reader)]).toEqual([false, true, false]);
  closeSync(reader);
});
