/** The words in which values that do not fit are refused. */
import { describe, expect, test } from "bun:test";
import { formatFieldErrors } from "../field-error.ts";
import { objectSchema } from "./custom-schema.test-support.ts";
import type { CustomSchema } from "./custom-schema.ts";
import { validateExtensions } from "./validate-lists.ts";
import { validateValue } from "./validate-value.ts";

function problems(value: unknown, schema: CustomSchema, old?: unknown): string {
  const at = { value: { x: value }, path: "", ...(old === undefined ? {} : { old: { x: old } }) };
  const whole = objectSchema({ x: schema });
  return formatFieldErrors([...validateValue(at, whole), ...validateExtensions(at.value, whole, at)]);
}

const NONE = "[]";

describe("a value", () => {
  test.each<[CustomSchema, unknown, string]>([
    [{ type: "string" }, "", NONE],
    [{ type: "string" }, 1, 'x: Invalid value: "integer": x in body must be of type string: "integer"'],
    [{ type: "string" }, null, 'x: Invalid value: "null": x in body must be of type string: "null"'],
    [{ type: "string", nullable: true }, null, NONE],
    [{ type: "integer" }, 1.5, 'x: Invalid value: "number": x in body must be of type integer: "number"'],
    [{ type: "number" }, 1, NONE],
    [{ type: "array" }, {}, 'x: Invalid value: "object": x in body must be of type array: "object"'],
    [{ "x-kubernetes-int-or-string": true }, "80%", NONE],
    [
      { "x-kubernetes-int-or-string": true },
      true,
      'x: Invalid value: "boolean": x in body must be of type integer,string: "boolean"',
    ],
    [{ type: "string", enum: ["a", "b"] }, "c", 'x: Unsupported value: "c": supported values: "a", "b"'],
    [{ type: "string", maxLength: 2 }, "äöü", "x: Too long: may not be more than 2 bytes"],
    [{ type: "string", maxLength: 3 }, "äö😀", NONE],
    [
      { type: "string", minLength: 2 },
      "a",
      'x: Invalid value: "a": x in body should be at least 2 chars long',
    ],
    [{ type: "string", pattern: "^(?i)a+$" }, "AA", NONE],
    [{ type: "string", pattern: "^a+$" }, "b", `x: Invalid value: "b": x in body should match '^a+$'`],
    [
      { type: "integer", minimum: 1 },
      0,
      "x: Invalid value: 0: x in body should be greater than or equal to 1",
    ],
    [
      { type: "integer", minimum: 1, exclusiveMinimum: true },
      1,
      "x: Invalid value: 1: x in body should be greater than 1",
    ],
    [{ type: "integer", maximum: 1 }, 2, "x: Invalid value: 2: x in body should be less than or equal to 1"],
    [
      { type: "integer", maximum: 1, exclusiveMaximum: true },
      1,
      "x: Invalid value: 1: x in body should be less than 1",
    ],
    [{ type: "integer", multipleOf: 5 }, 7, "x: Invalid value: 7: x in body should be a multiple of 5"],
    [{ type: "array", maxItems: 1 }, [1, 2], "x: Too many: 2: must have at most 1 item"],
    [{ type: "array", minItems: 1 }, [], "x: Invalid value: 0: x in body should have at least 1 items"],
    [
      { type: "object", minProperties: 1 },
      {},
      "x: Invalid value: 0: x in body should have at least 1 properties",
    ],
    [{ type: "object", maxProperties: 1 }, { a: 1, b: 1 }, "x: Too many: 2: must have at most 1 item"],
    [{ type: "object", required: ["a"] }, {}, "x.a: Required value"],
    [
      { type: "object", additionalProperties: { type: "integer" } },
      { k: "v" },
      'x.k: Invalid value: "string": x.k in body must be of type integer: "string"',
    ],
    [
      { type: "array", items: { type: "integer" } },
      [1, "a"],
      'x[1]: Invalid value: "string": x[1] in body must be of type integer: "string"',
    ],
    [
      { type: "integer", format: "int32" },
      2 ** 31,
      "x: Invalid value: 2147483648: x in body must be of type int32: 2147483648",
    ],
    [{ type: "string", format: "date-time" }, "2026-01-01T00:00:00Z", NONE],
    [
      { type: "string", format: "ipv4" },
      "::1",
      'x: Invalid value: "::1": x in body must be of type ipv4: "::1"',
    ],
    [{ type: "string", format: "nonsense" }, "anything", NONE],
    [
      { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
      ["a", "b", "a"],
      'x[2]: Duplicate value: "a"',
    ],
    [
      { type: "array", "x-kubernetes-list-type": "set", items: { type: "object" } },
      [
        { a: 1, b: [null] },
        { a: 1, b: ["null"] },
        { b: [null], a: 1 },
      ],
      'x[2]: Duplicate value: {"b":[null],"a":1}',
    ],
    [
      {
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        items: objectSchema({ name: { type: "string" }, v: { type: "integer" } }),
      },
      [
        { name: "a", v: 1 },
        { name: "a", v: 2 },
      ],
      'x[1]: Duplicate value: {"name":"a"}',
    ],
    [
      {
        type: "object",
        "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true,
      },
      { kind: "Pod" },
      "x.apiVersion: Required value: must not be empty",
    ],
  ])("%j and %j", (schema, value, expected) => {
    expect(problems(value, schema)).toBe(expected);
  });
});

describe("schemas of schemas", () => {
  const a: CustomSchema = { required: ["a"] };
  const b: CustomSchema = { required: ["b"] };

  test.each<[CustomSchema, unknown, string]>([
    [{ type: "object", allOf: [a, b] }, { a: 1, b: 1 }, NONE],
    [
      { type: "object", allOf: [a, b] },
      { a: 1 },
      '[x.b: Required value, <nil>: Invalid value: "": "x" must validate all the schemas (allOf)]',
    ],
    [{ type: "object", anyOf: [a, b] }, { b: 1 }, NONE],
    [
      { type: "object", anyOf: [a, b] },
      {},
      '[<nil>: Invalid value: "": "x" must validate at least one schema (anyOf), x.a: Required value]',
    ],
    [{ type: "object", oneOf: [a, b] }, { b: 1 }, NONE],
    [
      { type: "object", oneOf: [a, b] },
      { a: 1, b: 1 },
      '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    [
      { type: "object", not: a },
      { a: 1 },
      '<nil>: Invalid value: "": "x" must not validate the schema (not)',
    ],
  ])("%j and %j", (schema, value, expected) => {
    expect(problems(value, schema)).toBe(expected);
  });
});

test.each<[string, CustomSchema, unknown]>([
  ["a long number without a unit", { type: "string", format: "duration" }, "1".repeat(200_000)],
  [
    "a set of many",
    { type: "array", "x-kubernetes-list-type": "set", items: { type: "object" } },
    Array.from({ length: 20_000 }, (_, index) => ({ a: index })),
  ],
])("%s takes no time that grows with its square", (_, schema, value) => {
  const began = performance.now();
  problems(value, schema);
  expect(performance.now() - began).toBeLessThan(2_000);
});

test("what has not changed is not held against a schema that has", () => {
  const schema = objectSchema({ a: { type: "integer", maximum: 1 }, b: { type: "integer", maximum: 1 } });
  expect(problems({ a: 5, b: 0 }, schema, { a: 5, b: 1 })).toBe(NONE);
  expect(problems({ a: 6, b: 0 }, schema, { a: 5, b: 1 })).toBe(
    "x.a: Invalid value: 6: x.a in body should be less than or equal to 1",
  );
});
