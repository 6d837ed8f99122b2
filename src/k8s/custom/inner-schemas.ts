/** One step down a schema, whatever leads there. */
import { isJsonObject } from "../../lib/frozen-json.ts";
import type { CustomSchema } from "./custom-schema.ts";

/** Every schema right below this one, with its path. */
export function innerSchemas(schema: CustomSchema, path: string): (readonly [CustomSchema, string])[] {
  const { items, additionalProperties, not } = schema;
  const one = (inner: unknown, name: string): (readonly [CustomSchema, string])[] =>
    isJsonObject(inner) ? [[inner, `${path}.${name}`]] : [];
  const many = (name: "allOf" | "anyOf" | "oneOf") =>
    (schema[name] ?? []).map((inner, index) => [inner, `${path}.${name}[${index}]`] as const);
  return [
    ...Object.entries(schema.properties ?? {}).map(
      ([name, inner]) => [inner, `${path}.properties[${name}]`] as const,
    ),
    ...one(additionalProperties, "additionalProperties"),
    ...one(items, "items"),
    ...many("allOf"),
    ...many("anyOf"),
    ...many("oneOf"),
    ...one(not, "not"),
  ];
}
