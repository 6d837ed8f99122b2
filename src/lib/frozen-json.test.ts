import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { frozenJson } from "./frozen-json.ts";

function isDeeplyFrozen(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isDeeplyFrozen);
}

describe("frozenJson()", () => {
  test("gives what JSON would carry, deeply frozen", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const frozen = frozenJson(value);
        expect(JSON.stringify(frozen)).toBe(JSON.stringify(value));
        expect(isDeeplyFrozen(frozen)).toBe(true);
      }),
    );
  });

  test("is the earlier value when nothing changed, whatever the order of the keys", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const first = frozenJson(value);
        const again: unknown = JSON.parse(JSON.stringify(value));
        expect(frozenJson(again, first)).toBe(first);
      }),
    );
    const first = frozenJson({ a: 1, b: { c: 2 } });
    expect(frozenJson({ b: { c: 2 }, a: 1 }, first)).toBe(first);
  });

  test("never takes a change for the earlier value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (before, after) => {
        expect(JSON.stringify(frozenJson(after, frozenJson(before)))).toEqual(
          JSON.stringify(Bun.deepEquals(before, after, true) ? before : after),
        );
      }),
    );
  });

  test("shares the parts that did not change", () => {
    const first = frozenJson({ spec: { a: [1, { b: 2 }] }, status: { x: 1 } });
    const second = frozenJson({ spec: { a: [1, { b: 2 }] }, status: { x: 2 } }, first);
    expect(second.spec).toBe(first.spec);
    expect(second.status).toEqual({ x: 2 });
  });

  test("leaves out undefined fields and keeps a key named __proto__", () => {
    expect(Object.keys(frozenJson({ a: undefined, b: 1 }))).toEqual(["b"]);
    const hostile: unknown = JSON.parse('{"__proto__": {"admin": true}}');
    expect(JSON.stringify(frozenJson(hostile))).toBe('{"__proto__":{"admin":true}}');
    expect(frozenJson(JSON.parse('{"__proto__": {"admin": true}}'), frozenJson(hostile))).toEqual(
      frozenJson(hostile),
    );
  });

  test("does not alias what it was given", () => {
    const given = { a: { b: 1 } };
    const frozen = frozenJson(given);
    given.a.b = 2;
    expect(frozen).toEqual({ a: { b: 1 } });
  });
});
