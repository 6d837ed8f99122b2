/** What happens to an object on its way in: fields that its schema does not name go, defaults come. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { JsonObject } from "../../lib/frozen-json.ts";
import { anyObject, anySchema, objectSchema, valueOf } from "./custom-schema.test-support.ts";
import type { CustomSchema } from "./custom-schema.ts";
import { defaultCustom } from "./default.ts";
import { pruneResource } from "./prune.ts";
import { validateValue } from "./validate-value.ts";

function prune(
  value: JsonObject,
  schema: CustomSchema | undefined,
): { readonly object: JsonObject; readonly unknown: string[] } {
  const unknown: string[] = [];
  return { object: pruneResource(value, schema, (path) => unknown.push(path)), unknown };
}

describe("pruneResource()", () => {
  const text: CustomSchema = { type: "string" };

  test.each<[string, CustomSchema, JsonObject, JsonObject, string[]]>([
    ["names what it drops", objectSchema({ a: text }), { a: "1", b: 1 }, { a: "1" }, ["b"]],
    [
      "goes into lists",
      objectSchema({ l: { type: "array", items: objectSchema({ a: text }) } }),
      { l: [{ a: "1" }, { a: "2", x: 1 }] },
      { l: [{ a: "1" }, { a: "2" }] },
      ["l[1].x"],
    ],
    [
      "goes into maps",
      objectSchema({ m: { type: "object", additionalProperties: objectSchema({ a: text }) } }),
      { m: { k: { a: "1", x: 1 } } },
      { m: { k: { a: "1" } } },
      ["m.k.x"],
    ],
    [
      "takes everything out of objects in a map of anything",
      objectSchema({ m: { type: "object", additionalProperties: true } }),
      { m: { k: { a: 1 }, n: 2 } },
      { m: { k: {}, n: 2 } },
      ["m.k.a"],
    ],
    [
      "leaves what is to be preserved, but looks into what is named there",
      objectSchema({
        p: {
          type: "object",
          "x-kubernetes-preserve-unknown-fields": true,
          properties: { a: objectSchema({}) },
        },
      }),
      { p: { any: { thing: [1] }, a: { x: 1 } } },
      { p: { any: { thing: [1] }, a: {} } },
      ["p.a.x"],
    ],
    [
      "leaves a resource what every resource has",
      objectSchema({
        t: { ...objectSchema({ spec: objectSchema({}) }), "x-kubernetes-embedded-resource": true },
      }),
      {
        apiVersion: "v1",
        kind: "K",
        metadata: { x: 1 },
        t: { kind: "T", metadata: { name: "n" }, spec: { x: 1 } },
      },
      {
        apiVersion: "v1",
        kind: "K",
        metadata: { x: 1 },
        t: { kind: "T", metadata: { name: "n" }, spec: {} },
      },
      ["t.spec.x"],
    ],
    [
      "takes no inherited property for a field",
      objectSchema({}),
      JSON.parse('{ "constructor": 1, "__proto__": 1 }') as JsonObject,
      {},
      ["constructor", "__proto__"],
    ],
  ])("%s", (_, schema, value, object, unknown) => {
    expect(prune(value, schema)).toEqual({ object, unknown });
  });

  test("a second time finds nothing, whatever schema and object", () => {
    fc.assert(
      fc.property(anySchema, anyObject, (schema, value) => {
        const { object } = prune(value, schema);
        expect(prune(object, schema)).toEqual({ object, unknown: [] });
      }),
    );
  });
});

describe("defaultCustom()", () => {
  const sized: CustomSchema = objectSchema({
    size: { type: "integer", default: 1 },
    name: { type: "string" },
  });

  test.each<[string, CustomSchema, JsonObject, JsonObject]>([
    ["fills in what is absent", sized, { name: "n" }, { name: "n", size: 1 }],
    ["leaves what is there", sized, { size: 0 }, { size: 0 }],
    ["takes null for absent, and for nothing", sized, { size: null, name: null }, { size: 1 }],
    [
      "leaves null where it may be",
      objectSchema({ a: { type: "string", nullable: true, default: "x" } }),
      { a: null },
      { a: null },
    ],
    ["does not make objects that nobody wants", objectSchema({ inner: sized }), {}, {}],
    [
      "fills in defaults of defaults",
      objectSchema({ inner: { ...sized, default: {} } }),
      {},
      { inner: { size: 1 } },
    ],
    [
      "goes into lists",
      objectSchema({ l: { type: "array", items: sized } }),
      { l: [{}, { size: 2 }] },
      { l: [{ size: 1 }, { size: 2 }] },
    ],
    [
      "goes into maps",
      objectSchema({ m: { type: "object", additionalProperties: sized } }),
      { m: { a: {} } },
      { m: { a: { size: 1 } } },
    ],
  ])("%s", (_, schema, value, expected) => {
    expect(defaultCustom(value, schema)).toEqual(expected);
  });

  test("has an end, though each default has two of the next", () => {
    let schema: CustomSchema = objectSchema({ l: { type: "string", default: "x" } });
    for (let depth = 0; depth < 40; depth++)
      schema = objectSchema({ l: { type: "array", items: schema, default: [{}, {}] } });
    expect(() => defaultCustom({}, schema)).toThrow("the schema's defaults make the object too large");
  });

  test("a second time changes nothing, whatever schema and object", () => {
    fc.assert(
      fc.property(anySchema, anyObject, (schema, value) => {
        const once = defaultCustom(value, schema);
        expect(defaultCustom(once, schema)).toEqual(once);
      }),
    );
  });
});

test("what is made by a schema passes it, is not pruned, and still passes with its defaults", () => {
  fc.assert(
    fc.property(
      anySchema.chain((schema) => fc.tuple(fc.constant(schema), valueOf(schema))),
      ([schema, value]) => {
        expect(validateValue({ value, path: "" }, schema)).toEqual([]);
        expect(prune(value as JsonObject, schema)).toEqual({ object: value as JsonObject, unknown: [] });
        const filled = defaultCustom(value as JsonObject, schema);
        expect(validateValue({ value: filled, path: "" }, schema)).toEqual([]);
      },
    ),
  );
});
