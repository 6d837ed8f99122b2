/** CEL rules: what they see, when they are asked, how their refusal reads. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../lib/frozen-json.ts";
import { formatFieldErrors } from "../field-error.ts";
import type { KubeObject } from "../object.ts";
import { compileCel } from "./cel-engine.ts";
import { celName } from "./cel-value.ts";
import type { CustomSchema, ValidationRule } from "./custom-schema.ts";
import { objectSchema } from "./custom-schema.test-support.ts";
import { validateRules } from "./validate-rules.ts";

function resource(spec: JsonObject): KubeObject {
  return { apiVersion: "example.com/v1", kind: "Thing", metadata: { name: "t" }, spec };
}

interface Case {
  readonly schema: CustomSchema;
  readonly spec: JsonObject;
  readonly old?: JsonObject;
}

function problems({ schema, spec, old }: Case): string {
  const before = old === undefined ? undefined : resource(old);
  const whole = objectSchema({ spec: schema });
  return formatFieldErrors(validateRules({ object: resource(spec), before, schema: whole, errors: [] }));
}

function ruled(schema: CustomSchema, ...rules: ValidationRule[]): CustomSchema {
  return { ...schema, "x-kubernetes-validations": rules };
}

const FINE = "[]";
const int: CustomSchema = { type: "integer" };
const text: CustomSchema = { type: "string" };

describe("a rule sees", () => {
  const list = (items: CustomSchema): CustomSchema => ({ type: "array", items });
  const map = (values: CustomSchema): CustomSchema => ({ type: "object", additionalProperties: values });

  test.each<[string, CustomSchema, unknown]>([
    ["self == 3", int, 3],
    ["self / 2 == 1", int, 3],
    ["self / 2.0 == 1.5", { type: "number" }, 3],
    ["self > 1", { type: "number" }, 1.5],
    ["self.size() == 2 && self.startsWith('a')", text, "ab"],
    ["self.matches('^(?i)A+$')", text, "aaa"],
    ["self == self.trim() && self.lowerAscii() == self", text, "a"],
    ["self in ['a', 'b']", text, "b"],
    ["self.all(x, x > 0) && self.exists(x, x == 2) && size(self) == 2", list(int), [1, 2]],
    [
      "self.exists_one(x, x.n == 'a') && self.map(x, x.n) == ['a', 'b']",
      list(objectSchema({ n: text })),
      [{ n: "a" }, { n: "b" }],
    ],
    ["self.isSorted() && self.sum() == 6 && self.min() == 1 && self.max() == 3", list(int), [1, 2, 3]],
    ["'a' in self && self['a'] == 1 && self.all(k, self[k] > 0)", map(int), { a: 1 }],
    ["has(self.a) && !has(self.b)", objectSchema({ a: int, b: int }), { a: 1 }],
    ["self.a__dash__b == 1 && self.__if__ == 2", objectSchema({ "a-b": int, if: int }), { "a-b": 1, if: 2 }],
    ["self.`a-b` == 1", objectSchema({ "a-b": int }), { "a-b": 1 }],
    ["type(self) == int ? self < 100 : self.endsWith('%')", { "x-kubernetes-int-or-string": true }, "80%"],
    ["type(self) == int ? self < 100 : self.endsWith('%')", { "x-kubernetes-int-or-string": true }, 80],
    [
      "self < timestamp('2030-01-01T00:00:00Z')",
      { type: "string", format: "date-time" },
      "2026-01-01T00:00:00Z",
    ],
    ["duration(self) <= duration('1h')", text, "30m"],
    ["self > duration('29m59s') && duration(self) == self", { type: "string", format: "duration" }, "30m"],
    [
      "timestamp(self) == self && string(self) == '2026-01-01T00:00:00Z'",
      { type: "string", format: "date-time" },
      "2026-01-01T00:00:00Z",
    ],
    ["quantity(self).isLessThan(quantity('2Gi')) && isQuantity(self)", text, "1Gi"],
    [
      "isURL(self) && url(self).getScheme() == 'https' && url(self).getHostname() == 'a.b'",
      text,
      "https://a.b:8/c",
    ],
    ["ip(self).family() == 4 && !isCIDR(self)", text, "10.0.0.1"],
    ["self.find('[0-9]+') == '12' && self.findAll('[a-z]').size() == 2", text, "a12b"],
    ["sets.contains(self, [1]) && !sets.intersects(self, [9])", list(int), [1, 2]],
    ["self.?a.orValue(5) == 5", objectSchema({ a: int }), {}],
  ])("%s", (rule, schema, value) => {
    const whole = objectSchema({ v: ruled(schema, { rule }) });
    expect(problems({ schema: whole, spec: { v: value } })).toBe(FINE);
    const opposite = objectSchema({ v: ruled(schema, { rule: `!(${rule})`, message: "no" }) });
    expect(problems({ schema: opposite, spec: { v: value } })).toMatch(/^spec\.v: Invalid value: ".*": no$/);
  });

  test("a resource's kind and name, and only what the schema names", () => {
    const schema = ruled(objectSchema({ spec: objectSchema({ a: int }) }), {
      rule: "self.kind == 'Thing' && self.metadata.name == 't' && self.spec.a == 1",
    });
    const object = resource({ a: 1 });
    expect(validateRules({ object, before: undefined, schema, errors: [] })).toEqual([]);
    const nosy = ruled(objectSchema({}), { rule: "has(self.spec)" });
    expect(validateRules({ object, before: undefined, schema: nosy, errors: [] })).toHaveLength(1);
  });
});

describe("a refusal", () => {
  const schema = (rule: ValidationRule) => ruled(objectSchema({ a: int }), rule);

  test.each<[ValidationRule, string]>([
    [{ rule: "self.a > 5" }, 'spec: Invalid value: "object": failed rule: self.a > 5'],
    [{ rule: "self.a > 5", message: "too small" }, 'spec: Invalid value: "object": too small'],
    [
      { rule: "self.a > 5", message: "m", messageExpression: "'a is ' + string(self.a)" },
      'spec: Invalid value: "object": a is 1',
    ],
    [
      { rule: "self.a > 5", message: "m", messageExpression: "self.nothing" },
      'spec: Invalid value: "object": m',
    ],
    [{ rule: "self.a > 5", message: "m", fieldPath: ".a" }, 'spec.a: Invalid value: "object": m'],
    [{ rule: "false", message: "m", reason: "FieldValueForbidden" }, "spec: Forbidden: m"],
    [{ rule: "false", message: "m", reason: "FieldValueRequired" }, "spec: Required value: m"],
    [
      { rule: "self.b > 5" },
      'spec: Invalid value: "object": No such key: b evaluating rule: failed rule: self.b > 5',
    ],
  ])("of %j", (rule, expected) => {
    expect(problems({ schema: schema(rule), spec: { a: 1 } })).toBe(expected);
  });

  test("is not given while something else is wrong that a rule would stumble over", () => {
    const whole = objectSchema({ spec: schema({ rule: "false" }) });
    const errors = [{ type: "FieldValueRequired", field: "spec.b", body: "Required value" }] as const;
    const found = validateRules({ object: resource({}), before: undefined, schema: whole, errors });
    expect(formatFieldErrors(found)).toStartWith(
      "<nil>: Invalid value: null: some validation rules were not checked",
    );
  });
});

describe("a rule about what was stored", () => {
  const fixed = objectSchema({ v: ruled(text, { rule: "self == oldSelf", message: "fixed" }) });
  const refusal = 'spec.v: Invalid value: "string": fixed';

  test("says nothing of what is new, and something of what has changed", () => {
    expect(problems({ schema: fixed, spec: { v: "a" } })).toBe(FINE);
    expect(problems({ schema: fixed, spec: { v: "a" }, old: {} })).toBe(FINE);
    expect(problems({ schema: fixed, spec: { v: "a" }, old: { v: "a" } })).toBe(FINE);
    expect(problems({ schema: fixed, spec: { v: "b" }, old: { v: "a" } })).toBe(refusal);
  });

  test("may ask for an optional, and then speaks of what is new too", () => {
    const rule = {
      rule: "oldSelf.hasValue() || self != 'x'",
      optionalOldSelf: true,
      message: "no x at first",
    };
    const schema = objectSchema({ v: ruled(text, rule) });
    expect(problems({ schema, spec: { v: "x" } })).toBe('spec.v: Invalid value: "string": no x at first');
    expect(problems({ schema, spec: { v: "x" }, old: { v: "y" } })).toBe(FINE);
  });

  test("knows the items of a map list again, wherever they are now", () => {
    const item = objectSchema({ k: text, v: ruled(text, { rule: "self == oldSelf" }) });
    const keyed = { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"] } as const;
    const spec = {
      l: [
        { k: "b", v: "2" },
        { k: "a", v: "9" },
      ],
    };
    const old = {
      l: [
        { k: "a", v: "1" },
        { k: "b", v: "2" },
      ],
    };
    const schema = objectSchema({ l: { type: "array", items: item, ...keyed } });
    expect(problems({ schema, spec, old })).toBe(
      'spec.l[1].v: Invalid value: "string": failed rule: self == oldSelf',
    );
    expect(problems({ schema: objectSchema({ l: { type: "array", items: item } }), spec, old })).toBe(FINE);
  });

  test("leaves alone what breaks another rule since before that rule was there", () => {
    const schema = objectSchema({ v: ruled(text, { rule: "self != 'bad'" }), w: text });
    expect(problems({ schema, spec: { v: "bad", w: "1" }, old: { v: "bad" } })).toBe(FINE);
    expect(problems({ schema, spec: { v: "bad" }, old: { v: "good" } })).not.toBe(FINE);
  });
});

test.each([
  "self.",
  "nobody == 1",
  "self.noSuchFunction()",
  "format.dns1123Label().validate(self).hasValue()",
])("%s cannot be evaluated, which is said when it is compiled", (rule) => {
  expect(compileCel(rule)).toEqual({ problem: expect.any(String) });
  expect(problems({ schema: ruled(text, { rule }), spec: {} })).toBe(FINE);
});

test("a pattern that other engines choke on takes no time", () => {
  const rule = "self.matches('^(a+)+$')";
  const schema = objectSchema({ v: ruled(text, { rule, message: "no" }) });
  expect(problems({ schema, spec: { v: `${"a".repeat(5_000)}b` } })).toContain("no");
});

test.each([
  ["plain", "plain"],
  ["a-b.c/d__e", "a__dash__b__dot__c__slash__d__underscores__e"],
  ["namespace", "__namespace__"],
])("celName(%p) is %p", (name, expected) => {
  expect(celName(name)).toBe(expected);
});
