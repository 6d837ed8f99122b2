/**
 * Objects as the Go server writes them back: zero values left out where Go's `omitempty` does, structs that are no
 * pointers always there (`resources: {}`), quantities in canonical form. Protobuf bodies are full of zeros, and
 * `kubectl diff` shows every difference.
 */
import { isJsonObject, type JsonObject } from "../lib/frozen-json.ts";
import { canonicalQuantity, formatQuantity, QuantityError, quantityOf } from "./quantity.ts";
import { type Field, type TypeSchema, typeOf } from "./schema.ts";

const MILLI = 1_000_000n;

/** A deep copy of `object`, normal by its type; data of unknown fields is copied as it is. */
export function normalizeObject(object: JsonObject, schema: TypeSchema): Record<string, unknown> {
  const result = new Map<string, unknown>();
  for (const [name, value] of Object.entries(object)) {
    if (value === null || value === undefined) continue;
    const field = schema.fields.get(name);
    if (field === undefined) {
      result.set(name, structuredClone(value));
      continue;
    }
    const normal = normalizeField(value, field);
    if (!isOmitted(normal, field)) result.set(name, normal);
  }
  for (const [name, field] of schema.fields) {
    if (isPlainStruct(field) && !result.has(name)) result.set(name, normalizeObject({}, structOf(field)));
  }
  return Object.fromEntries(result);
}

/** Go has no absent struct: what is no pointer is written even when it is empty. */
function isPlainStruct({ name, type, array, map, pointer }: Field): boolean {
  return type === "object" && !array && !map && !pointer && name !== "metadata";
}

function structOf(field: Field): TypeSchema {
  const schema = typeOf(field.ref);
  if (schema === undefined) throw new Error(`Field "${field.name}" has no type "${field.ref}"`);
  return schema;
}

function isOmitted(value: unknown, { omitEmpty, pointer, type, array, map }: Field): boolean {
  if (!omitEmpty) return false;
  if (Array.isArray(value)) return value.length === 0;
  if (map || array) return isJsonObject(value) && Object.keys(value).length === 0;
  if (pointer || type === "object" || type === "any") return false;
  return value === "" || value === 0 || value === false;
}

function normalizeField(value: unknown, field: Field): unknown {
  if (field.map && isJsonObject(value)) {
    const entries = Object.entries(value).map(([key, one]) => [key, normalizeList(one, field)] as const);
    return Object.fromEntries(entries);
  }
  return normalizeList(value, field);
}

function normalizeList(value: unknown, field: Field): unknown {
  return Array.isArray(value)
    ? value.map((item) => normalizeValue(item, field))
    : normalizeValue(value, field);
}

function normalizeValue(value: unknown, field: Field): unknown {
  if (field.type === "object" && isJsonObject(value)) return normalizeObject(value, structOf(field));
  if (field.type === "quantity") return normalizeQuantity(value, field.goType);
  if (value === null) return field.type === "string" ? "" : null;
  return typeof value === "object" ? structuredClone(value) : value;
}

/** What is no quantity stays, for the validation to refuse. Resource lists keep thousandths at the finest. */
function normalizeQuantity(value: unknown, goType: string): unknown {
  if (typeof value !== "string" && typeof value !== "number") return value;
  try {
    const { nanos, format } = quantityOf(value);
    if (goType !== "v1.ResourceList" || nanos % MILLI === 0n) return canonicalQuantity(value);
    const rounded = nanos / MILLI + (nanos > 0n ? 1n : 0n);
    return formatQuantity({ nanos: rounded * MILLI, format });
  } catch (error) {
    if (error instanceof QuantityError) return value;
    throw error;
  }
}
