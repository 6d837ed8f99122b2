import { describe, expect, test } from "bun:test";
import { parseYaml } from "./parse-yaml.ts";

describe("parseYaml()", () => {
  test.each([
    ["a: yes", { a: true }],
    ["a: 0644", { a: 420 }],
    ["a: 2026-01-01", { a: "2026-01-01" }],
    ["a: !!binary aGk=", { a: "aGk=" }],
    ["1: x", { "1": "x" }],
    ["p: &p {a: 1}\nq: {<<: *p, b: 2}", { p: { a: 1 }, q: { a: 1, b: 2 } }],
    ["{a: [1, {b: null}]}", { a: [1, { b: null }] }],
    ["", null],
  ])("%j", (text, value) => {
    expect(parseYaml(text)).toEqual({ value, duplicates: [] });
  });

  test("names keys that come twice, and takes the last", () => {
    const text = "a: 1\nb:\n- c: 1\n  c: 2\na: 3\n";
    expect(parseYaml(text)).toEqual({ value: { a: 3, b: [{ c: 2 }] }, duplicates: ["b[0].c", "a"] });
  });

  test("sets no prototype", () => {
    const { value } = parseYaml("__proto__: {polluted: true}\n");
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value as object)).toEqual(["__proto__"]);
  });

  test.each([
    ["a list without an end", "a: ["],
    ["two colons", "a: b: c"],
    ["a tab", "\t- x"],
    ["an unknown alias", "a: *nowhere"],
    ["nesting beyond reason", `a: ${"[".repeat(20_000)}`],
  ])("refuses %s", (_, text) => {
    expect(() => parseYaml(text)).toThrow();
  });
});
