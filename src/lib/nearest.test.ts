import { expect, test } from "bun:test";
import { editDistance, nearest } from "./nearest.ts";

test.each([
  ["", "", 0],
  ["abc", "abc", 0],
  ["abc", "", 3],
  ["nmae", "name", 1],
  ["kitten", "sitting", 3],
  ["ca", "abc", 3],
])("editDistance(%p, %p) is %d", (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

test("nearest() takes the closest word, and none that is no slip", () => {
  expect(nearest("comand", ["args", "command", "commands"])).toBe("command");
  expect(nearest("Fiel", ["file"])).toBe("file");
  expect(nearest("frobnicate", ["args", "command"])).toBeUndefined();
  expect(nearest("x", [])).toBeUndefined();
});
