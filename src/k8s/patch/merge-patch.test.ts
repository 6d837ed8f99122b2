import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { applyMergePatch, createMergePatch } from "./merge-patch.ts";

/** RFC 7386, appendix A. */
test.each([
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])("applyMergePatch(%j, %j) is %j", (target, patch, result) => {
  expect(applyMergePatch(target, patch)).toEqual(result);
});

test("applyMergePatch() takes __proto__ as a key like any other", () => {
  const result = applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}'));
  expect(JSON.stringify(result)).toBe('{"__proto__":{"polluted":true}}');
});

const value = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    fc.integer(),
    fc.string(),
    fc.array(tie("node"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__"), tie("node"), { noNullPrototype: true }),
  ),
})).node;
const object = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), value, { noNullPrototype: true });

test("a created merge patch turns the one object into the other", () => {
  fc.assert(
    fc.property(object, object, (from, to) => {
      expect(applyMergePatch(from, createMergePatch(from, to))).toEqual(to);
    }),
  );
});
