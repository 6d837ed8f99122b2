/** Fills in the defaults of a custom resource's schema (apiextensions-apiserver `schema/defaulting`). */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { StatusError } from "../status-error.ts";
import { type CustomSchema, propertySchema, valueSchema } from "./custom-schema.ts";

/** Defaults that one object may get: a list whose items get lists whose items get lists ... would have no end. */
const MOST_DEFAULTS = 100_000;

/** How many more there may be. */
interface Room {
  left: number;
}

/**
 * The object with its defaults, in whatever depth. Null where null is not allowed counts as absent: it gets the default, or goes.
 * Idempotent. Throws `RequestEntityTooLarge` beyond 100,000 defaults.
 */
export function defaultCustom(object: JsonObject, schema: CustomSchema | undefined): JsonObject {
  return schema === undefined ? object : defaultObject(object, schema, { left: MOST_DEFAULTS });
}

function defaultObject(object: JsonObject, schema: CustomSchema, room: Room): JsonObject {
  const result = new Map<string, unknown>();
  for (const [name, value] of Object.entries(object)) {
    const own = propertySchema(schema, name) ?? valueSchema(schema);
    const filled = own === undefined ? value : defaultValue(value, own, room);
    if (filled !== undefined) result.set(name, filled);
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (result.has(name) || property.default === undefined) continue;
    takeRoom(room);
    const filled = defaultValue(property.default, property, room);
    if (filled !== undefined) result.set(name, filled);
  }
  return Object.fromEntries(result);
}

function takeRoom(room: Room): void {
  room.left -= 1;
  if (room.left < 0)
    throw new StatusError("RequestEntityTooLarge", "the schema's defaults make the object too large");
}

/** Undefined for a null that may not be. */
function defaultValue(value: unknown, schema: CustomSchema, room: Room): unknown {
  const given = value === null && schema.nullable !== true ? schema.default : value;
  if (given === null) return schema.nullable === true ? null : undefined;
  if (isJsonObject(given)) return defaultObject(given, schema, room);
  if (!Array.isArray(given) || schema.items === undefined) return given;
  const { items } = schema;
  // An item cannot go without moving those behind it: a null that may not be is the validation's.
  return given.map((item) => defaultValue(item, items, room) ?? item);
}
