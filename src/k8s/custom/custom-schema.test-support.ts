/** Schemas, and values that fit them, for property tests. */
import * as fc from "fast-check";
import type { JsonObject } from "../../lib/frozen-json.ts";
import type { CustomSchema } from "./custom-schema.ts";

export function objectSchema(properties: Readonly<Record<string, CustomSchema>>): CustomSchema {
  return { type: "object", properties };
}

const name = fc.constantFrom("a", "b", "c", "d");

const scalar: fc.Arbitrary<CustomSchema> = fc.oneof(
  fc.record({ type: fc.constant("string"), maxLength: fc.integer({ min: 5, max: 9 }) }),
  fc.constant<CustomSchema>({ type: "string", default: "x" }),
  fc.record({ type: fc.constant("string"), enum: fc.constant(["one", "two"]) }),
  fc.record({ type: fc.constant("integer"), minimum: fc.integer({ min: -5, max: 0 }) }),
  fc.constant<CustomSchema>({ type: "integer", default: 7 }),
  fc.constant<CustomSchema>({ type: "boolean", nullable: true }),
  fc.constant<CustomSchema>({ "x-kubernetes-int-or-string": true }),
);

interface Schemas {
  readonly value: CustomSchema;
  readonly object: CustomSchema;
}

const { object } = fc.letrec<Schemas>((tie: fc.LetrecTypedTie<Schemas>) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    scalar,
    tie("object"),
    tie("value").map((items): CustomSchema => ({ type: "array", items })),
    tie("value").map((additionalProperties): CustomSchema => ({ type: "object", additionalProperties })),
  ),
  object: fc.dictionary(name, tie("value"), { maxKeys: 4 }).map(objectSchema),
}));

/** Of an object, with whatever in it. */
export const anySchema: fc.Arbitrary<CustomSchema> = object;

/** An object that fits no schema in particular. */
export const anyObject: fc.Arbitrary<JsonObject> = fc.dictionary(
  name,
  fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<unknown>,
);

/** A value that fits the schema. */
export function valueOf(schema: CustomSchema): fc.Arbitrary<unknown> {
  const { type, items, properties, additionalProperties } = schema;
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (type === "string") return fc.string({ maxLength: 5 });
  if (type === "integer") return fc.nat({ max: 100 });
  if (type === "boolean") return schema.nullable === true ? fc.option(fc.boolean()) : fc.boolean();
  if (type === "array")
    return items === undefined ? fc.constant([]) : fc.array(valueOf(items), { maxLength: 3 });
  if (type !== "object") return fc.oneof(fc.nat(), fc.string());
  if (typeof additionalProperties === "object")
    return fc.dictionary(name, valueOf(additionalProperties), { maxKeys: 3 });
  const fields = Object.entries(properties ?? {}).map(([key, one]) => [key, valueOf(one)] as const);
  return fc.record(Object.fromEntries(fields), { requiredKeys: [] });
}
