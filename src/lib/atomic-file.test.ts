import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { writeFileAtomic } from "./atomic-file.ts";

const folder = mkdtempSync(join(tmpdir(), "pillion-atomic-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("writeFileAtomic() replaces content and mode, whatever they were, and leaves nothing else behind", () => {
  const path = join(folder, "file");
  writeFileSync(path, "old and longer", { mode: 0o644 });
  writeFileAtomic(path, "new", 0o600);
  expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777, readdirSync(folder)]).toEqual([
    "new",
    0o600,
    ["file"],
  ]);
});

test("writeFileAtomic() passes on the file system's error", () => {
  expect(() => writeFileAtomic(join(folder, "missing", "file"), "x", 0o600)).toThrow("ENOENT");
});
