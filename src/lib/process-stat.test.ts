import { expect, test } from "bun:test";
import { processStat, statFields } from "./process-stat.ts";

test("statFields() are those behind the name, whatever is in the name", () => {
  expect(statFields("7 (a) Z 1 (b) c) S 1 7 7")).toEqual(["S", "1", "7", "7"]);
});

test("processStat() knows this process's parent, and nothing of one that is not there", () => {
  expect(processStat(process.pid)?.[1]).toBe(String(process.ppid));
  expect(processStat(2 ** 22 + 1)).toBeUndefined();
});
