/** Server-side apply without ownership: the applied manifest laid over the object, lists by their keys (KEP-555). */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { jsonEqual } from "./json.ts";
import { orderItems } from "./list-order.ts";
import { listMapKey, sameListMapKeys } from "./match-item.ts";
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
    return orderItems([...new Set([...before, ...applied])], {
      wanted: applied,
      before,
      keyOf: (item) => item,
    });
  }
  return field?.topology === "map" ? mergeItems(before, applied, field) : applied;
}

function mergeItems(before: readonly unknown[], applied: readonly unknown[], field: MergeField): unknown[] {
  const keys = field.listMapKeys ?? [];
  const keyOf = (item: unknown) =>
    JSON.stringify(keys.map((key) => (isJsonObject(item) ? listMapKey(item, key) : null)));
  const result: unknown[] = [...before];
  for (const item of applied) {
    if (!isJsonObject(item)) return [...applied];
    const at = result.findIndex((other) => isJsonObject(other) && sameListMapKeys(other, item, keys));
    const merged = applyMerge(at < 0 ? {} : (result[at] as JsonObject), item, field.type);
    if (at < 0) result.push(merged);
    else if (!jsonEqual(result[at], merged)) result[at] = merged;
  }
  return orderItems(result, { wanted: applied, before, keyOf });
}
