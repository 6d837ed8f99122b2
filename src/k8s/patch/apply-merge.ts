/** The first half of server-side apply: the applied manifest laid over the object, lists by their keys (KEP-555). */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { jsonEqual } from "./json.ts";
import { listMapKey } from "./match-item.ts";
import type { MergeField, MergeType } from "./merge-schema.ts";

/** The object with everything that `applied` says; null removes a field. Neither argument is changed. */
export function applyMerge(
  current: JsonObject,
  applied: JsonObject,
  type: MergeType | undefined,
): JsonObject {
  const result = new Map(Object.entries(current));
  for (const [key, value] of Object.entries(applied)) {
    if (value === null) result.delete(key);
    else result.set(key, mergeValue(result.get(key), value, type?.field(key)));
  }
  return Object.fromEntries(result);
}

function mergeValue(current: unknown, applied: unknown, field: MergeField | undefined): unknown {
  if (isJsonObject(applied)) {
    if (field?.topology === "atomic") return applyMerge({}, applied, field.type);
    return applyMerge(isJsonObject(current) ? current : {}, applied, field?.type);
  }
  if (!Array.isArray(applied)) return applied;
  const before = Array.isArray(current) ? current : [];
  if (field?.topology === "set") {
    return mergeLists(before, applied, { keyOf: (item) => item, merge: (_, item) => item });
  }
  return field?.topology === "map" ? mergeItems(before, applied, field) : applied;
}

function mergeItems(before: readonly unknown[], applied: readonly unknown[], field: MergeField): unknown[] {
  if (!applied.every(isJsonObject)) return [...applied];
  const keys = field.listMapKeys ?? [];
  const keyOf = (item: unknown) =>
    JSON.stringify(keys.map((key) => (isJsonObject(item) ? listMapKey(item, key) : null)));
  const merge = (current: unknown, item: unknown) => {
    const base = isJsonObject(current) && field.atomicItems !== true ? current : {};
    const merged = isJsonObject(item) ? applyMerge(base, item, field.type) : item;
    return jsonEqual(current, merged) ? current : merged;
  };
  return mergeLists(before, applied, { keyOf, merge });
}

interface Items {
  readonly keyOf: (item: unknown) => unknown;
  /** `current` is undefined for a new item. */
  readonly merge: (current: unknown, item: unknown) => unknown;
}

/** The applied items in their order; an item of somebody else's stays behind the one it stood behind (`visitListItems`). */
function mergeLists(
  before: readonly unknown[],
  applied: readonly unknown[],
  { keyOf, merge }: Items,
): unknown[] {
  const wanted = new Set(applied.map(keyOf));
  const current = new Map<unknown, unknown>();
  for (const item of before) if (!current.has(keyOf(item))) current.set(keyOf(item), item);
  const result = new Map<unknown, unknown>();
  let next = 0;
  const takeOthers = () => {
    while (next < before.length && !wanted.has(keyOf(before[next]))) {
      result.set(keyOf(before[next]), before[next]);
      next += 1;
    }
  };
  for (const item of applied) {
    takeOthers();
    const key = keyOf(item);
    result.set(key, merge(result.get(key) ?? current.get(key), item));
    while (next < before.length && result.has(keyOf(before[next]))) next += 1;
  }
  for (const item of before.slice(next)) if (!result.has(keyOf(item))) result.set(keyOf(item), item);
  return [...result.values()];
}
