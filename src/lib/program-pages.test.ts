import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dropProgramPages } from "./program-pages.ts";

/** KiB of files that are mapped and in memory. */
function mappedKib(): number {
  return Number(/^RssFile:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}

test("pages of the program's code are given back, and come again when they are needed", () => {
  const before = mappedKib();
  expect(dropProgramPages()).toBeGreaterThan(0);
  expect(mappedKib()).toBeLessThan(before - 4_096);
  expect(JSON.parse(JSON.stringify({ a: [new Date(0).toISOString()] }))).toEqual({
    a: ["1970-01-01T00:00:00.000Z"],
  });
  expect(dropProgramPages()).toBeGreaterThan(0);
});
