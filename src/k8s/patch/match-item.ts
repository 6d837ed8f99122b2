/** Which item of a list a patch means when the merge key alone does not say so: ports of two protocols. */
import type { JsonObject } from "../../lib/frozen-json.ts";
import type { MergeField } from "./merge-schema.ts";

/** What the API server fills in for a list-map key that a manifest leaves out. */
const KEY_DEFAULTS: Readonly<Record<string, unknown>> = { protocol: "TCP" };

export function listMapKey(item: JsonObject, key: string): unknown {
  return Object.hasOwn(item, key) ? item[key] : KEY_DEFAULTS[key];
}

/** Whether both items have the same values for all keys that identify an item. */
export function sameListMapKeys(a: JsonObject, b: JsonObject, keys: readonly string[]): boolean {
  return keys.every((key) => listMapKey(a, key) === listMapKey(b, key));
}

export interface MatchOptions {
  readonly field: MergeField;
  readonly mergeKey: string;
  /** The patch's `$setElementOrder` list, when it has one. */
  readonly order?: readonly unknown[] | undefined;
}

/**
 * Index of the item to merge into, -1 for none. Kubernetes takes the first one with the same merge key, so that a
 * second port 53 (UDP) overwrites the first (TCP). Here a full match wins, and an order list that names the key more
 * often than the list has it means a new item.
 */
export function matchItem(
  items: readonly JsonObject[],
  item: JsonObject,
  { field, mergeKey, order }: MatchOptions,
): number {
  const first = items.findIndex((other) => other[mergeKey] === item[mergeKey]);
  const keys = field.listMapKeys ?? [mergeKey];
  if (first < 0 || keys.length < 2) return first;
  const full = items.findIndex(
    (other) => other[mergeKey] === item[mergeKey] && sameListMapKeys(other, item, keys),
  );
  if (full >= 0) return full;
  const wanted = (order ?? []).filter((other) => (other as JsonObject)[mergeKey] === item[mergeKey]).length;
  const present = items.filter((other) => other[mergeKey] === item[mergeKey]).length;
  return wanted > present ? -1 : first;
}
