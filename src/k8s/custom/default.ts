/** Fills in the defaults of a custom resource's schema (apiextensions-apiserver `schema/defaulting`). */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { type CustomSchema, propertySchema, valueSchema } from "./custom-schema.ts";

/**
 * The object with its defaults, in whatever depth. Null where null is not allowed counts as absent: it gets the default, or goes.
 * Idempotent.
 */
export function defaultCustom(object: JsonObject, schema: CustomSchema | undefined): JsonObject {
  return schema === undefined ? object : defaultObject(object, schema);
}

function defaultObject(object: JsonObject, schema: CustomSchema): JsonObject {
  const result = new Map<string, unknown>();
  for (const [name, value] of Object.entries(object)) {
    const own = propertySchema(schema, name) ?? valueSchema(schema);
    const filled = own === undefined ? value : defaultValue(value, own);
    if (filled !== undefined) result.set(name, filled);
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (result.has(name) || property.default === undefined) continue;
    const filled = defaultValue(property.default, property);
    if (filled !== undefined) result.set(name, filled);
  }
  return Object.fromEntries(result);
}

/** Undefined for a null that may not be. */
function defaultValue(value: unknown, schema: CustomSchema): unknown {
  const given = value === null && schema.nullable !== true ? schema.default : value;
  if (given === null) return schema.nullable === true ? null : undefined;
  if (isJsonObject(given)) return defaultObject(given, schema);
  if (!Array.isArray(given) || schema.items === undefined) return given;
  const { items } = schema;
  // An item cannot go without moving those behind it: a null that may not be is the validation's.
  return given.map((item) => defaultValue(item, items) ?? item);
}
