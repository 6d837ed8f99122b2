/** Strategic merge patch, what kubectl sends for built-in kinds (apimachinery `util/strategicpatch`). */
import {
  DELETE_FROM_PRIMITIVE_LIST,
  fieldDirectives,
  isDirective,
  PATCH,
  RETAIN_KEYS,
  SET_ELEMENT_ORDER,
  withoutDirectives,
} from "./directives.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { withoutKey } from "./json.ts";
import { orderItems } from "./list-order.ts";
import { matchItem } from "./match-item.ts";
import type { MergeField, MergeType } from "./merge-schema.ts";
import { badPatch, mixedList, noMergeKey, unknownDirective, wrongOrder } from "./patch-error.ts";

const BAD_RETAIN_KEYS = "invalid patch format of retainKeys";
const BAD_DELETE_LIST = "invalid patch format of primitive list";
const BAD_ORDER_LIST = "invalid patch format of setElementOrder list";

/** Kubernetes objects are no deeper than some 20 levels; without a bound a patch could exhaust the stack. */
const MAX_DEPTH = 200;

/**
 * The patched object; the original stays as it was and shares what the patch leaves alone. Fields unknown to `type`
 * are merged like a JSON merge patch does and left for the strict decoder to refuse. Throws StatusError.
 */
export function applyStrategicMergePatch(
  original: JsonObject,
  patch: JsonObject,
  type: MergeType | undefined,
): JsonObject {
  return mergeObject(original, patch, { type, depth: 0 });
}

interface Place {
  readonly type: MergeType | undefined;
  readonly depth: number;
}

function below({ depth }: Place, field: MergeField | undefined): Place {
  if (depth > MAX_DEPTH) throw badPatch("the patch is nested too deeply");
  return { type: field?.type, depth: depth + 1 };
}

function mergeObject(original: JsonObject, patch: JsonObject, place: Place): JsonObject {
  if (Object.hasOwn(patch, PATCH)) return replaceObject(patch);
  const result = new Map(Object.entries(retainKeys(original, patch)));
  const ordered = mergeOrderedLists(result, patch, place);
  for (const [key, value] of Object.entries(patch)) {
    if (isDirective(key) || ordered.has(key)) continue;
    if (value === null) result.delete(key);
    else result.set(key, mergeValue(result.get(key), value, { place, field: place.type?.field(key) }));
  }
  for (const [key, value] of fieldDirectives(patch, DELETE_FROM_PRIMITIVE_LIST)) {
    if (key === "" || !Array.isArray(value)) throw badPatch(BAD_DELETE_LIST);
    const current = result.get(key);
    if (Array.isArray(current))
      result.set(
        key,
        current.filter((item) => !value.includes(item)),
      );
  }
  return Object.fromEntries(result);
}

function replaceObject(patch: JsonObject): JsonObject {
  const directive = patch[PATCH];
  if (directive === "delete") return {};
  if (directive !== "replace") throw unknownDirective(directive, patch);
  return withoutDirectives(withoutKey(patch, PATCH)) as JsonObject;
}

/** `$retainKeys` names the members of a union that stay; a patch that sets another one contradicts itself. */
function retainKeys(original: JsonObject, patch: JsonObject): JsonObject {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return original;
  const keys = patch[RETAIN_KEYS];
  if (!Array.isArray(keys)) throw badPatch(BAD_RETAIN_KEYS);
  for (const [key, value] of Object.entries(patch)) {
    if (value !== null && !isDirective(key) && !keys.includes(key)) throw badPatch(BAD_RETAIN_KEYS);
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => keys.includes(key)));
}

interface Target {
  readonly place: Place;
  readonly field: MergeField | undefined;
}

function mergeValue(original: unknown, patch: unknown, { place, field }: Target): unknown {
  if (isJsonObject(original) && isJsonObject(patch)) {
    return field?.strategy === "replace"
      ? withoutDirectives(patch)
      : mergeObject(original, patch, below(place, field));
  }
  if (Array.isArray(original) && Array.isArray(patch) && field?.strategy === "merge") {
    return mergeList(original, patch, { place, field });
  }
  return withoutDirectives(patch);
}

/** Lists whose order the patch states; answers which fields of the patch are done with that. */
function mergeOrderedLists(result: Map<string, unknown>, patch: JsonObject, place: Place): Set<string> {
  const done = new Set<string>();
  for (const [key, order] of fieldDirectives(patch, SET_ELEMENT_ORDER)) {
    const list = patch[key] ?? [];
    if (key === "" || !Array.isArray(order) || !Array.isArray(list)) throw badPatch(BAD_ORDER_LIST);
    const field = place.type?.field(key);
    if (field?.strategy !== "merge") continue;
    const before = result.get(key) ?? [];
    if (!Array.isArray(before)) throw badPatch(BAD_ORDER_LIST);
    const keyOf = (item: unknown) => itemKey(item, field.mergeKey);
    requireOrder(list, order, keyOf);
    done.add(key);
    if (!result.has(key) && !Object.hasOwn(patch, key)) continue;
    const merged = mergeList(before, list, { place, field, order });
    result.set(
      key,
      orderItems(merged, { wanted: order, before: orderBefore(before, merged, { list, keyOf }), keyOf }),
    );
  }
  return done;
}

interface Merged {
  /** The list of the patch. */
  readonly list: readonly unknown[];
  readonly keyOf: (item: unknown) => unknown;
}

/**
 * The order that the list counts as having had. Kubernetes merges in place: new items move up into the places that
 * deleted ones leave, and so stand behind the items that stay.
 */
function orderBefore(
  before: readonly unknown[],
  merged: readonly unknown[],
  { list, keyOf }: Merged,
): unknown[] {
  const deleted = new Set(list.filter(isDeletion).map(keyOf));
  const kept = before.filter((item) => !deleted.has(keyOf(item)));
  const keys = new Set(kept.map(keyOf));
  const added = merged.filter((item) => !keys.has(keyOf(item)));
  const places = new Map(list.map((item, index) => [isDeletion(item) ? undefined : keyOf(item), index]));
  const inOrder = added.toSorted((a, b) => (places.get(keyOf(a)) ?? 0) - (places.get(keyOf(b)) ?? 0));
  return [...kept, ...inOrder.slice(0, before.length - kept.length)];
}

function isDeletion(item: unknown): boolean {
  return isJsonObject(item) && item[PATCH] === "delete";
}

function itemKey(item: unknown, mergeKey: string | undefined): unknown {
  if (mergeKey === undefined) return item;
  if (!isJsonObject(item)) throw badPatch("expected a map[string]interface {}, but received something else");
  if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey);
  return item[mergeKey];
}

/** The items of the patch must stand in the order it declares (`validatePatchWithSetOrderList`). */
function requireOrder(
  list: readonly unknown[],
  order: readonly unknown[],
  keyOf: (item: unknown) => unknown,
): void {
  if (list.length === 0 || order.length === 0) return;
  const kept = list.filter((item) => !(isJsonObject(item) && Object.hasOwn(item, PATCH)));
  let next = 0;
  for (const item of order) if (next < kept.length && keyOf(kept[next]) === keyOf(item)) next += 1;
  if (next < kept.length) throw wrongOrder(list, order);
}

interface ListTarget extends Target {
  readonly field: MergeField;
  /** The patch's `$setElementOrder` list, when it has one. */
  readonly order?: readonly unknown[];
}

function mergeList(original: readonly unknown[], patch: readonly unknown[], target: ListTarget): unknown[] {
  const all = [...original, ...patch];
  if (all.length === 0) return [];
  if (all.some(Array.isArray)) throw badPatch("lists of lists are not supported");
  if (all.every(isJsonObject)) return mergeObjects(original as JsonObject[], patch as JsonObject[], target);
  if (all.some(isJsonObject)) throw mixedList(original, patch);
  const keyOf = (item: unknown) => item;
  return orderItems([...new Set(all)], { wanted: patch, before: original, keyOf });
}

function mergeObjects(
  original: readonly JsonObject[],
  patch: readonly JsonObject[],
  target: ListTarget,
): unknown[] {
  const { place, field, order } = target;
  const { mergeKey } = field;
  if (mergeKey === undefined) throw badPatch("cannot merge lists without merge key");
  const items = patch.filter((item) => !Object.hasOwn(item, PATCH));
  const { replaced, deleted } = readListDirectives(patch, mergeKey);
  if (replaced) return items.map(withoutDirectives);
  const before = original.filter((item) => !deleted.has(item[mergeKey]));
  const result = [...before];
  for (const item of items) {
    itemKey(item, mergeKey);
    const at = matchItem(result, item, { field, mergeKey, order });
    const found = result[at];
    if (found === undefined) result.push(withoutDirectives(item) as JsonObject);
    else result[at] = mergeObject(found, item, below(place, field));
  }
  const keyOf = (item: unknown) => itemKey(item, mergeKey);
  return orderItems(result, { wanted: items, before, keyOf });
}

function readListDirectives(patch: readonly JsonObject[], mergeKey: string) {
  const deleted = new Set<unknown>();
  let replaced = false;
  for (const item of patch) {
    if (!Object.hasOwn(item, PATCH)) continue;
    const directive = item[PATCH];
    if (directive === "delete") deleted.add(itemKey(item, mergeKey));
    else if (directive === "replace") replaced = true;
    else if (directive === "merge") throw badPatch("merging lists cannot yet be specified in the patch");
    else throw unknownDirective(directive, item);
  }
  return { replaced, deleted };
}
