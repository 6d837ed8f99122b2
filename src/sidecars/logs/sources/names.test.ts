import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { cutLines } from "./cut-lines.ts";
import { descriptorLimit } from "./descriptors.ts";
import { checkGlob, excluder, expandBraces } from "./glob.ts";
import { familyOf, isRotationOf } from "./rotated-names.ts";

test("checkGlob() says what is wrong", () => {
  const patterns = [
    "/a/*.log",
    "/a/**/b.log",
    "/a/{b,c}/*.log",
    "a/*.log",
    "/a/../b",
    "/a/{b,../c}",
    "/a/",
    "/a/**",
    "/a/b**/c",
  ];
  expect(patterns.map((pattern) => checkGlob(pattern) === undefined)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
});

test("checkGlob() refuses braces that would never end", () => {
  expect(checkGlob(`/${"{a,b}".repeat(40)}`)).toBeDefined();
});

test("expandBraces() expands nested ones and leaves others alone", () => {
  expect(expandBraces("/a/{b,c{d,e}}/{f}")).toEqual(["/a/b/{f}", "/a/cd/{f}", "/a/ce/{f}"]);
  expect(["/{a", "/}a{", "/{}"].flatMap(expandBraces)).toEqual(["/{a", "/}a{", "/{}"]);
});

test("excluder() matches names, and paths where the pattern is one", () => {
  const isExcluded = excluder(["*.gz", "/var/log/debug/**"]);
  const paths = ["/var/log/a.gz", "/var/log/debug/x/y.log", "/var/log/a.log"];
  expect(paths.map(isExcluded)).toEqual([true, true, false]);
});

test.each([
  ["app.log", "app.log.1", true],
  ["app.log", "app.log.12.gz", true],
  ["app.log", "app.log-20260131", true],
  ["app.log", "app.log-20260131-1769817600.gz", true],
  ["app.log", "app-2026-01-31.log", true],
  ["app.log", "app.log.pillion-2026-01-31T00-00-00-000Z-1", true],
  ["app.log", "app.log.gz", true],
  ["app.log", "app.log", false],
  ["app.log", "app.log.bz2", false],
  ["app.log", "app2.log", false],
  ["app.log", "app-errors.log", false],
  ["app.log", "app.logger", false],
])("isRotationOf(%p, %p) is %p", (name, candidate, expected) => {
  expect(isRotationOf(name, candidate)).toBe(expected);
});

test("familyOf() takes off what rotation adds", () => {
  const names = [
    "app.log",
    "app.log.1",
    "app.log.2.gz",
    "app.log-20260131",
    "app-20260131.log",
    "app1.log",
    "42",
  ];
  expect(names.map((name) => familyOf(`/l/${name}`).slice(3))).toEqual([
    "app.log",
    "app.log",
    "app.log",
    "app.log",
    "app.log",
    "app1.log",
    "42",
  ]);
});

test("cutLines() never loses or reorders a byte, keeps lines whole and parts short", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("a", "é", "😀", "\n", "\0"), { maxLength: 60 }),
      fc.integer({ min: 4, max: 12 }),
      (parts, maxLine) => {
        const text = Buffer.from(parts.join(""));
        const out: Buffer[] = [];
        for (let rest = text; rest.length > 0;) {
          const window = rest.subarray(0, maxLine + 1);
          const isEnd = window.length === rest.length && rest.length <= maxLine;
          const { length, isCut } = cutLines(window, { isEnd, mayEnd: true, maxLine });
          const piece = rest.subarray(0, length);
          expect(length).toBeGreaterThan(0);
          for (const line of piece.toString().split("\n"))
            expect(Buffer.byteLength(line)).toBeLessThanOrEqual(maxLine);
          if (!isCut && length < rest.length) expect(piece.at(-1)).toBe(10);
          expect(piece.toString()).not.toContain("\ufffd");
          out.push(piece);
          rest = rest.subarray(length);
        }
        expect(Buffer.concat(out).equals(text)).toBe(true);
      },
    ),
  );
});

test("descriptorLimit() leaves half of them to others", () => {
  const limits = (soft: string): string =>
    `Limit   Soft Limit  Hard Limit  Units\nMax open files            ${soft}   20000   files\n`;
  expect(["1024", "unlimited", "20", "1000000"].map((soft) => descriptorLimit(limits(soft)))).toEqual([
    512, 4096, 64, 4096,
  ]);
  expect(descriptorLimit("")).toBe(64);
});
