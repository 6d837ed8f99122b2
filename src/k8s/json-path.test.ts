/** JSONPath of printer columns. */
import { describe, expect, test } from "bun:test";
import { compileJsonPath, JsonPathError } from "./json-path.ts";

const OBJECT = {
  spec: {
    replicas: 0,
    list: [1, 2, 3],
    "a.b": "dotted",
    items: [
      { n: "x", v: 1 },
      { n: "y", v: 2 },
    ],
  },
  status: {
    conditions: [
      { type: "Ready", status: "True" },
      { type: "Other", status: "False", reason: "none" },
    ],
  },
};

describe("a path", () => {
  test.each<[string, unknown[]]>([
    [".spec.replicas", [0]],
    ["$.spec.replicas", [0]],
    ["spec.replicas", [0]],
    [".spec.nothing.there", []],
    [".spec.list[0]", [1]],
    [".spec.list[-1]", [3]],
    [".spec.list[7]", []],
    [".spec.list[*]", [1, 2, 3]],
    [".spec.list[0:2]", [1, 2]],
    [".spec.list[1:]", [2, 3]],
    [".spec.list[::2]", [1, 3]],
    [".spec.list[0,2]", [1, 3]],
    ['.spec["a.b"]', ["dotted"]],
    [".spec.a\\.b", ["dotted"]],
    [".spec.items[*].n", ["x", "y"]],
    ['.status.conditions[?(@.type=="Ready")].status', ["True"]],
    [".status.conditions[?(@.type=='Ready')].status", ["True"]],
    ['.status.conditions[?(@.type != "Ready")].status', ["False"]],
    [".status.conditions[?(@.reason)].type", ["Other"]],
    [".spec.items[?(@.v > 1)].n", ["y"]],
    ["..reason", ["none"]],
    [".constructor", []],
  ])("%s", (path, expected) => {
    expect(compileJsonPath(path)(OBJECT)).toEqual(expected);
  });

  test.each(["..*..*..*..*..*", `.l${"[0,0,0]".repeat(60)}`, ".l[?(@..*..*..*)]"])(
    "%s leads to no more than can be shown",
    (path) => {
      let nested: unknown = "bottom";
      for (let depth = 0; depth < 400; depth++) nested = [nested];
      expect(compileJsonPath(path)({ l: nested }).length).toBeWithin(1, 10_001);
    },
  );

  test.each([".spec[", ".a".repeat(513), ".spec.[x]", ".a b", ".spec[x]", ".a[?(@.b == c)]", "."])(
    "%s cannot be read",
    (path) => {
      expect(() => compileJsonPath(path)).toThrow(JsonPathError);
    },
  );
});
