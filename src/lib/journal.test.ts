import { afterAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openJournal } from "./journal.ts";

const folder = mkdtempSync(join(tmpdir(), "pillion-journal-"));
afterAll(() => rmSync(folder, { recursive: true }));
let names = 0;

function newPath(): string {
  names += 1;
  return join(folder, `journal-${names}`);
}

/** A journal with these lines, and its bytes. */
function written(lines: readonly unknown[]): { path: string; bytes: Buffer } {
  const path = newPath();
  const { journal } = openJournal(path);
  journal.replace(lines.slice(0, 1));
  for (const line of lines.slice(1)) expect(journal.append(line)).toBe(true);
  journal.close();
  return { path, bytes: readFileSync(path) };
}

test("what was appended is read again, and nothing is there before the first replace", () => {
  const path = newPath();
  const { journal, lines, damage } = openJournal(path);
  expect([lines, damage, journal.append("early"), existsSync(path)]).toEqual([[], "none", false, false]);
  journal.close();
  const all = [{ v: 1 }, "ü€\n", [1, null], { deep: { er: true } }];
  expect(openJournal(written(all).path)).toMatchObject({ lines: all, damage: "none" });
});

test("a journal that is cut anywhere has every line that is whole, and goes on", () => {
  const all = ["one", { two: "ü" }, [3]];
  const { bytes } = written(all);
  for (let length = 0; length <= bytes.length; length += 1) {
    const path = newPath();
    writeFileSync(path, bytes.subarray(0, length));
    const whole = bytes.subarray(0, length).toString("latin1").split("\n").length - 1;
    const { journal, lines, damage } = openJournal(path);
    const isTorn = length > 0 && bytes[length - 1] !== 10;
    expect([lines, damage]).toEqual([all.slice(0, whole), isTorn ? "torn" : "none"]);
    expect(journal.append("more")).toBe(true);
    journal.close();
    expect(openJournal(path).lines).toEqual([...all.slice(0, whole), "more"]);
  }
});

test("a byte that changed costs the lines from there on, and the file is set aside", () => {
  const all = ["one", "two", "three"];
  const { bytes } = written(all);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const path = newPath();
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ flip;
      writeFileSync(path, changed);
      const { journal, lines, damage, setAsideAs } = openJournal(path);
      const before = bytes.subarray(0, at).toString("latin1").split("\n").length - 1;
      expect(lines).toEqual(all.slice(0, before));
      if (damage === "damaged") expect([setAsideAs, existsSync(path)]).toEqual([`${path}.damaged-1`, false]);
      else expect([damage, at]).toEqual(["torn", bytes.length - 1]);
      expect(journal.replace(["new"])).toBe(true);
      journal.close();
      expect(openJournal(path).lines).toEqual(["new"]);
    }),
  );
});

test("garbage is no journal and no failure", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (garbage) => {
      const path = newPath();
      writeFileSync(path, garbage);
      const { journal, lines } = openJournal(path);
      expect(lines).toEqual([]);
      expect(journal.replace([1])).toBe(true);
      journal.close();
    }),
    { numRuns: 50 },
  );
});

test("a sync under way outlives a replace and a close", async () => {
  const path = newPath();
  const { journal } = openJournal(path);
  journal.replace([0]);
  const syncs = [1, 2, 3].map((line) => {
    journal.append(line);
    return journal.sync();
  });
  journal.replace([9]);
  syncs.push(journal.sync());
  journal.close();
  expect(await Promise.all(syncs)).toEqual([true, true, true, true]);
  expect(await journal.sync()).toBe(false);
  expect(openJournal(path).lines).toEqual([9]);
});

test("a closed journal leaves the file to its successor", () => {
  const path = newPath();
  const { journal } = openJournal(path);
  journal.replace([0]);
  journal.close();
  journal.close();
  expect([journal.append(1), journal.replace([2])]).toEqual([false, false]);
  expect(openJournal(path).lines).toEqual([0]);
});
