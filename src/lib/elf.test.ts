import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { elfFile } from "../testing/elf-builder.ts";
import { readElfNeeds } from "./elf.ts";

const folder = mkdtempSync(join(tmpdir(), "pillion-elf-"));
const file = join(folder, "file");
afterAll(() => rmSync(folder, { recursive: true }));

function needsOf(bytes: Uint8Array | string) {
  writeFileSync(file, bytes);
  return readElfNeeds(file);
}

const whole = elfFile({
  machine: 183,
  interpreter: "/lib/ld-linux-aarch64.so.1",
  needed: ["libm.so.6", "libc.so.6"],
  runPath: "$ORIGIN/../lib:/opt/lib",
});

describe("readElfNeeds()", () => {
  test("reads the loader, the libraries and the folders to look in first", () => {
    expect(needsOf(whole)).toEqual({
      machine: 183,
      interpreter: "/lib/ld-linux-aarch64.so.1",
      needed: ["libm.so.6", "libc.so.6"],
      searchPaths: ["$ORIGIN/../lib", "/opt/lib"],
    });
  });

  test("reads the program that runs these tests", () => {
    const needs = readElfNeeds(process.execPath);
    expect(needs?.machine).toBe(process.arch === "x64" ? 62 : 183);
    expect(needs?.interpreter).toMatch(/^\/.*\/ld-/);
    expect(needs?.needed.some((name) => name.startsWith("libc."))).toBe(true);
  });

  test("a library has no loader, and may need nothing", () => {
    expect(needsOf(elfFile({}))).toEqual({
      machine: 62,
      interpreter: undefined,
      needed: [],
      searchPaths: [],
    });
  });

  test.each([
    ["a script", "#!/bin/sh\n"],
    ["an empty file", ""],
    ["a program of 32 bits", Buffer.from(whole).fill(1, 4, 5)],
    ["a big-endian program", Buffer.from(whole).fill(2, 5, 6)],
  ])("takes %s for none", (_, bytes) => {
    expect(needsOf(bytes)).toBeUndefined();
  });

  test("reads a file that was cut off or damaged without failing", () => {
    const cut = fc.integer({ min: 0, max: whole.length - 1 });
    const damage = fc.array(fc.tuple(cut, fc.integer({ min: 0, max: 255 })), { maxLength: 8 });
    fc.assert(
      fc.property(cut, damage, (length, changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        needsOf(bytes);
        expect(needsOf(whole.subarray(0, length))).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  test("throws what opening throws", () => {
    expect(() => readElfNeeds(join(folder, "missing"))).toThrow("ENOENT");
  });
});
