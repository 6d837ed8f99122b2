import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { replaceFile, writeFileAtomic } from "./atomic-file.ts";

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

test("replaceFile() replaces content and mode, and leaves nothing behind when it fails", async () => {
  const place = mkdtempSync(join(folder, "later-"));
  const path = join(place, "file");
  writeFileSync(path, "old and longer", { mode: 0o644 });
  await replaceFile(path, "new", 0o640);
  expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777]).toEqual(["new", 0o640]);
  mkdirSync(join(place, "in-the-way", "full"), { recursive: true });
  expect(await replaceFile(join(place, "in-the-way"), "x", 0o600).catch(() => "refused")).toBe("refused");
  expect(await replaceFile(join(place, "missing", "file"), "x", 0o600).catch(() => "refused")).toBe(
    "refused",
  );
  expect(readdirSync(place).toSorted()).toEqual(["file", "in-the-way"]);
});

test("readers see whole contents only, whichever of many writers wins", async () => {
  const path = join(mkdtempSync(join(folder, "many-")), "file");
  const contents = Array.from({ length: 8 }, (_, index) => String(index).repeat(20_000 + index));
  await replaceFile(path, contents[0] ?? "", 0o600);
  const written = new AbortController();
  const seen = new Set<string>();
  const reading = (async () => {
    while (!written.signal.aborted) seen.add(await readFile(path, "utf8"));
  })();
  await Promise.all(contents.map((content) => replaceFile(path, content, 0o600)));
  written.abort();
  await reading;
  expect([...seen].filter((text) => !contents.includes(text))).toEqual([]);
  expect(readdirSync(join(path, "..")).length).toBe(1);
});

test("a symlink that waits where the draft will be leads nowhere", async () => {
  const place = mkdtempSync(join(folder, "trap-"));
  const victim = join(place, "victim");
  writeFileSync(victim, "precious");
  for (let count = 0; count <= 1_000; count += 1)
    symlinkSync(victim, join(place, `.file.${count}.${process.pid}.draft`));
  writeFileAtomic(join(place, "file"), "secret", 0o600);
  await replaceFile(join(place, "file"), "secret", 0o600);
  expect(readFileSync(victim, "utf8")).toBe("precious");
});
