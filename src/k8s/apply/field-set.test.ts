import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  difference,
  type FieldSet,
  intersection,
  isEmptySet,
  isFieldSet,
  LEAF,
  NO_FIELDS,
  pathsOf,
  union,
} from "./field-set.ts";

/** Sets as lists of paths, over few elements so that they overlap. */
const path = fc.array(fc.constantFrom("f:a", "f:b", 'k:{"name":"x"}', "f:__proto__"), {
  minLength: 1,
  maxLength: 3,
});
const set = fc.array(path, { maxLength: 8 }).map((paths) => paths.reduce(withPath, NO_FIELDS));

function withPath(before: FieldSet, steps: readonly string[]): FieldSet {
  return union(
    before,
    steps.reduceRight((inner, step) => Object.fromEntries([[step, inner]]), LEAF),
  );
}

function pathTexts(fields: FieldSet): Set<string> {
  return new Set([...pathsOf(fields)].map((one) => one.join(" ")));
}

describe("sets of paths", () => {
  test("behave as the sets of their paths", () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const [inA, inB] = [pathTexts(a), pathTexts(b)];
        expect(pathTexts(union(a, b))).toEqual(inA.union(inB));
        expect(pathTexts(difference(a, b))).toEqual(inA.difference(inB));
        expect(pathTexts(intersection(a, b))).toEqual(inA.intersection(inB));
      }),
    );
  });

  test("obey the laws: idempotent, commutative, a is its part in b and its part outside b", () => {
    fc.assert(
      fc.property(set, set, set, (a, b, c) => {
        expect(union(a, a)).toBe(a);
        expect(union(a, b)).toEqual(union(b, a));
        expect(union(union(a, b), c)).toEqual(union(a, union(b, c)));
        expect(union(difference(a, b), intersection(a, b))).toEqual(a);
        expect(isEmptySet(difference(a, a))).toBe(true);
        expect(difference(a, NO_FIELDS)).toBe(a);
        expect(isFieldSet(union(a, b))).toBe(true);
      }),
    );
  });

  test("a node is a member where it is empty or says so", () => {
    const both = union({ "f:a": {} }, { "f:a": { "f:b": {} } });
    expect(both).toEqual({ "f:a": { ".": {}, "f:b": {} } });
    expect(difference(both, { "f:a": {} })).toEqual({ "f:a": { "f:b": {} } });
    expect(difference(both, { "f:a": { "f:b": {} } })).toEqual({ "f:a": {} });
  });

  test.each([
    ["a bare name", { a: {} }],
    ["the root itself", { ".": {} }],
    ["text for a node", { "f:a": "b" }],
    ["a list", []],
    ["keys that are no JSON", { "k:name": {} }],
    ["keys that are no object", { "k:1": {} }],
    ["a place that is no number", { "i:x": {} }],
    ["something in a self", { "f:a": { ".": { "f:b": {} } } }],
  ])("%s is no set", (_, value) => {
    expect(isFieldSet(value)).toBe(false);
  });
});
