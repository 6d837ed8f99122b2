import { describe, expect, test } from "bun:test";
import { compileLinear, PatternError } from "./linear-regex.ts";

const always = () => true;

describe("a pattern of a user", () => {
  test("finds each match that is not empty, by UTF-16 units", () => {
    expect(compileLinear("\\d+").spans("a12 \u{1F600} 345", always)).toEqual([1, 3, 7, 10]);
    expect(compileLinear("x*").spans("axxb", always)).toEqual([1, 3]);
    expect(compileLinear("x").spans("abc", always)).toEqual([]);
  });

  test("tells what its named groups hold, in either syntax, also where one takes no part", () => {
    const regex = compileLinear("(?P<a>\\d+)(-)(?<b>x)?(?<__proto__>y)?");
    expect(regex.names).toEqual(["a", "b", "__proto__"]);
    expect(regex.groups("z 12-x 13-y")).toEqual(["12", "x", undefined]);
    expect(regex.groups("12-y")).toEqual(["12", undefined, "y"]);
    expect(regex.groups("none")).toBeUndefined();
  });

  test("keeps no position between texts", () => {
    const regex = compileLinear("(?i)ab");
    expect([regex.test("xAB"), regex.test("xAB"), regex.test("a b")]).toEqual([true, true, false]);
  });

  test.each(["(", "a{2,1}", "(?=x)", "(a)\\1", "[z-a]"])(
    "%j is refused with the engine's words",
    (source) => {
      expect(() => compileLinear(source)).toThrow(PatternError);
    },
  );

  test("that backtracking engines never finish is answered", () => {
    // 2^50 steps for an engine that backtracks.
    expect(compileLinear("^(a+)+$").test(`${"a".repeat(50)}!`)).toBe(false);
    expect(compileLinear("^(a|a)*$").test(`${"a".repeat(100_000)}!`)).toBe(false);
  });

  test("whose every match looks to the end is stopped, and the rest of the text belongs to the last span", () => {
    const asked: number[] = [];
    const spans = compileLinear("[0-9]+x|1").spans("1".repeat(100), () => asked.push(0) < 2);
    expect(asked).toHaveLength(2);
    expect(spans.slice(-4)).toEqual([31, 32, 32, 100]);
  });
});
