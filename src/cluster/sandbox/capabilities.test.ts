import { describe, expect, test } from "bun:test";
import {
  boundingSet,
  capabilitiesToDrop,
  dangerousCapabilities,
  grantedCapabilities,
} from "./capabilities.ts";

function mask(add: readonly string[], drop: readonly string[]): string {
  let bits = 0n;
  for (const number of boundingSet(add, drop)) bits |= 1n << BigInt(number);
  return bits.toString(16);
}

describe("boundingSet()", () => {
  test.each([
    ["the default set", [], [], "a80425fb"],
    ["one more", ["NET_ADMIN"], [], "a80435fb"],
    ["one less", [], ["NET_RAW"], "a80405fb"],
    ["none", [], ["ALL"], "0"],
    ["only one", ["NET_BIND_SERVICE"], ["ALL"], "400"],
    ["all", ["ALL"], [], "1ffffffffff"],
    ["all but one", ["ALL"], ["CHOWN"], "1fffffffffe"],
    ["dropped beats added, for ALL and by name", ["ALL", "CHOWN", "KILL"], ["ALL", "KILL"], "1"],
    ["lower case", ["net_admin"], ["all"], "1000"],
    ["names that no kernel knows", ["NONSENSE", "CAP_CHOWN"], ["ALSO"], "a80425fb"],
  ])("%s [X6]", (_what, add, drop, expected) => {
    expect(mask(add, drop)).toBe(expected);
  });
});

test("capabilitiesToDrop() reaches beyond the capabilities we know", () => {
  expect(capabilitiesToDrop(new Set([0, 41]))).toEqual(
    [...Array(64).keys()].filter((n) => n !== 0 && n !== 41),
  );
});

test("dangerousCapabilities() finds those that reach beyond the container", () => {
  expect(
    dangerousCapabilities(["NET_ADMIN", "chown", "SYS_ADMIN", "ALL", "BPF", "sys_time", "SYS_PTRACE"]),
  ).toEqual(["SYS_ADMIN", "ALL", "BPF", "sys_time"]);
});

test("grantedCapabilities() keeps back what reaches into the engine's programs", () => {
  expect(grantedCapabilities(["NET_ADMIN", "SYS_PTRACE", "sys_ptrace"])).toEqual(["NET_ADMIN"]);
});
