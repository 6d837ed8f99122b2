import { afterAll, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeadLetterFile, type KeptLetter } from "./dead-letter-file.ts";

const folder = mkdtempSync(join(tmpdir(), "pillion-letters-"));
afterAll(() => rmSync(folder, { recursive: true }));
let names = 0;

function newPath(): string {
  names += 1;
  return join(folder, `letters-${names}.jsonl`);
}

function letter(id: string, record = `record of ${id}`): KeptLetter {
  return {
    id,
    at: "2026-01-01T00:00:00Z",
    sink: "http",
    reason: "400",
    origin: "/a@1",
    record,
    resend: { group: "" },
  };
}

const LIMIT = 2 ** 24;

test("letters are kept in order, over a restart, and taken out by id", async () => {
  const path = newPath();
  const file = new DeadLetterFile(path, LIMIT);
  expect(await file.list()).toEqual([]);
  expect(await file.append(["a", "b", "c"].map((id) => letter(id)))).toEqual({
    count: 3,
    trouble: undefined,
  });
  const again = new DeadLetterFile(path, LIMIT);
  await again.remove(new Set(["b", "unknown"]));
  await again.append([letter("d")]);
  expect(await again.list()).toEqual(["a", "c", "d"].map((id) => letter(id)));
  expect([again.size, statSync(path).mode & 0o777]).toEqual([statSync(path).size, 0o600]);
});

test("a letter longer than what is read at once, with any character in it, comes back as it was", async () => {
  const file = new DeadLetterFile(newPath(), LIMIT);
  const letters = [
    letter("long", 'ü\n\u0000"€'.repeat(200_000)),
    letter("lone \ud800", "\ud800"),
    letter("short"),
  ];
  await file.append(letters);
  expect(await file.list()).toEqual(letters);
  await file.remove(new Set(["lone \ud800"]));
  expect((await file.list()).map(({ id }) => id)).toEqual(["long", "short"]);
});

test("a file cut anywhere keeps every letter that is whole", async () => {
  const path = newPath();
  const file = new DeadLetterFile(path, LIMIT);
  await file.append([letter("a"), letter("b")]);
  const bytes = readFileSync(path);
  for (let length = 0; length <= bytes.length; length += 7) {
    const cut = newPath();
    writeFileSync(cut, bytes.subarray(0, length));
    const found = new DeadLetterFile(cut, LIMIT);
    await found.append([letter("c")]);
    const whole = bytes.subarray(0, length).toString().split("\n").length - 1;
    expect((await found.list()).map(({ id }) => id)).toEqual([...["a", "b"].slice(0, whole), "c"]);
  }
});

test("lines that are no letters are left out of the list and left in the file", async () => {
  const path = newPath();
  writeFileSync(path, `not json\n${JSON.stringify(letter("a"))}\n{"id":"half"}\n42\nnull\n\n`);
  const file = new DeadLetterFile(path, LIMIT);
  expect(await file.list()).toEqual([letter("a")]);
  await file.remove(new Set(["a"]));
  expect(readFileSync(path, "utf8")).toBe('not json\n{"id":"half"}\n42\nnull\n\n');
});

test("a full file takes what fits and says so; a folder that is gone says why", async () => {
  const inside = mkdtempSync(join(folder, "gone-"));
  const path = join(inside, "letters.jsonl");
  const file = new DeadLetterFile(path, 300);
  expect(await file.append(["a", "b", "c", "d"].map((id) => letter(id)))).toEqual({
    count: 2,
    trouble: "full",
  });
  expect((await file.append([letter("e")])).trouble).toBe("full");
  await file.remove(new Set(["a", "b"]));
  expect(await file.append([letter("e")])).toEqual({ count: 1, trouble: undefined });
  rmSync(inside, { recursive: true });
  expect(await file.append([letter("f")])).toMatchObject({ count: 0, trouble: { code: "ENOENT" } });
});

test("calls at the same time wait for each other", async () => {
  const file = new DeadLetterFile(newPath(), LIMIT);
  const ids = Array.from({ length: 30 }, (_, index) => `l${index}`);
  const calls = ids.map((id, index) =>
    index % 10 === 9 ? file.remove(new Set([`l${index - 1}`])) : file.append([letter(id)]),
  );
  await Promise.all(calls);
  const left = ids.filter((_, index) => index % 10 < 8);
  expect((await file.list()).map(({ id }) => id)).toEqual(left);
});

test("what somebody appended by hand is read too", async () => {
  const path = newPath();
  const first = new DeadLetterFile(path, LIMIT);
  await first.append([letter("a")]);
  appendFileSync(path, `${JSON.stringify(letter("b"))}\n{"torn`);
  expect((await new DeadLetterFile(path, LIMIT).list()).map(({ id }) => id)).toEqual(["a", "b"]);
});

test("a file that somebody removes, empties or cuts goes on with what comes", async () => {
  for (const change of [
    (path: string) => rmSync(path),
    (path: string) => writeFileSync(path, ""),
    (path: string) => writeFileSync(path, `${JSON.stringify(letter("a"))}\n{"id`),
  ]) {
    const path = newPath();
    const file = new DeadLetterFile(path, LIMIT);
    await file.append(["a", "b", "c"].map((id) => letter(id)));
    change(path);
    const kept = await file.list();
    expect(await file.append([letter("d")])).toEqual({ count: 1, trouble: undefined });
    expect(await file.list()).toEqual([...kept, letter("d")]);
    expect(file.size).toBe(statSync(path).size);
  }
});
