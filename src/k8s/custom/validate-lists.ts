/** What a schema's extensions demand: no doubles in sets and map lists, embedded resources that say what they are. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { duplicate, type FieldError, invalid, required } from "../field-error.ts";
import { jsonEqual } from "../patch/json.ts";
import {
  type CustomSchema,
  EMBEDDED,
  LIST_MAP_KEYS,
  LIST_TYPE,
  propertySchema,
  valueSchema,
} from "./custom-schema.ts";
import { fieldPath, itemPath } from "./value-path.ts";

/** `listtype.ValidateListSetsAndMaps` and `objectmeta.Validate`; `old` as in `validateValue`. */
export function validateExtensions(
  value: unknown,
  schema: CustomSchema,
  { path, old }: { readonly path: string; readonly old?: unknown },
): FieldError[] {
  if (old !== undefined && jsonEqual(old, value)) return [];
  if (Array.isArray(value)) {
    const { items } = schema;
    const inner =
      items === undefined
        ? []
        : value.flatMap((item, index) => validateExtensions(item, items, { path: itemPath(path, index) }));
    return [...validateDoubles(value, schema, path), ...inner];
  }
  if (!isJsonObject(value)) return [];
  const before = isJsonObject(old) ? old : {};
  const inner = Object.entries(value).flatMap(([name, one]) => {
    const own = propertySchema(schema, name) ?? valueSchema(schema);
    const former = Object.hasOwn(before, name) ? before[name] : undefined;
    return own === undefined
      ? []
      : validateExtensions(one, own, { path: fieldPath(path, name), old: former });
  });
  return [...(schema[EMBEDDED] === true && path !== "" ? validateEmbedded(value, path) : []), ...inner];
}

function validateDoubles(list: readonly unknown[], schema: CustomSchema, path: string): FieldError[] {
  const keys =
    schema[LIST_TYPE] === "map" ? keyer(schema) : schema[LIST_TYPE] === "set" ? identity : undefined;
  if (keys === undefined) return [];
  // As text: lists may have many thousand items, which cannot all be compared with each other.
  const seen = new Set<string>();
  return list.flatMap((item, index) => {
    const key = keys(item);
    const text = canonicalText(key);
    if (seen.has(text)) return [duplicate(itemPath(path, index), key)];
    seen.add(text);
    return [];
  });
}

/** The same for values that are equal: the order of keys does not count. */
function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const names = Object.keys(value).toSorted();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalText(value[name])}`).join()}}`;
}

function identity(item: unknown): unknown {
  return item;
}

function keyer(schema: CustomSchema): (item: unknown) => unknown {
  const keys = schema[LIST_MAP_KEYS] ?? [];
  return (item) =>
    Object.fromEntries(
      keys.flatMap((key) => (isJsonObject(item) && Object.hasOwn(item, key) ? [[key, item[key]]] : [])),
    );
}

function validateEmbedded(resource: JsonObject, path: string): FieldError[] {
  return ["apiVersion", "kind"].flatMap((name) => {
    const value = resource[name];
    if (value === undefined || value === "") return [required(fieldPath(path, name), "must not be empty")];
    return typeof value === "string" ? [] : [invalid(fieldPath(path, name), value, "must be a string")];
  });
}
