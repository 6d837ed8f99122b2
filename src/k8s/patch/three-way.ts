/**
 * Three-way apply, as `kubectl apply` computes it: what the manifest sets, minus what an earlier manifest had set,
 * whatever others have written since (strategicpatch `CreateThreeWayMergePatch`).
 */
import { DELETE_FROM_PRIMITIVE_LIST, PATCH, RETAIN_KEYS, SET_ELEMENT_ORDER } from "./directives.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { jsonEqual } from "./json.ts";
import type { MergeField, MergeType } from "./merge-schema.ts";
import { noMergeKey } from "./patch-error.ts";

export interface ThreeWay {
  /** The last applied manifest; `{}` when there was none. */
  readonly original: JsonObject;
  readonly modified: JsonObject;
  readonly current: JsonObject;
}

/**
 * The strategic merge patch; `{}` when there is nothing to do. Without a type, the result is a JSON merge patch,
 * which is what kubectl uses for custom resources. Throws StatusError when a list item lacks its merge key.
 */
export function threeWayPatch(states: ThreeWay, type: MergeType | undefined): JsonObject {
  return diffObject(states, { type, retainKeys: false });
}

interface Place {
  readonly type: MergeType | undefined;
  readonly retainKeys: boolean;
}

type Patch = Map<string, unknown>;

function objectOr(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

function listOr(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function diffObject({ original, modified, current }: ThreeWay, place: Place): JsonObject {
  const patch: Patch = new Map();
  for (const key of Object.keys(original)) if (!Object.hasOwn(modified, key)) patch.set(key, null);
  for (const [key, value] of Object.entries(modified)) {
    const field = place.type?.field(key);
    const [before, now] = [original[key], Object.hasOwn(current, key) ? current[key] : undefined];
    diffValue(patch, { key, field, before, value, now });
  }
  const stale = Object.keys(current).some((key) => current[key] !== null && !Object.hasOwn(modified, key));
  if (place.retainKeys && Object.keys(modified).length > 0 && (patch.size > 0 || stale)) {
    patch.set(RETAIN_KEYS, Object.keys(modified).sort());
  }
  return Object.fromEntries(patch);
}

interface Change {
  readonly key: string;
  readonly field: MergeField | undefined;
  readonly before: unknown;
  readonly value: unknown;
  readonly now: unknown;
}

function diffValue(patch: Patch, change: Change): void {
  const { key, field, before, value, now } = change;
  if (isJsonObject(value) && isJsonObject(now) && field?.strategy !== "replace") {
    const states = { original: objectOr(before), modified: value, current: now };
    const inner = diffObject(states, { type: field?.type, retainKeys: field?.retainKeys ?? false });
    if (Object.keys(inner).length > 0) patch.set(key, inner);
  } else if (Array.isArray(value) && Array.isArray(now) && field?.strategy === "merge") {
    const lists: Lists = { before: listOr(before), value, now };
    if (field.mergeKey === undefined) diffScalars(patch, key, lists);
    else diffItems(patch, { ...change, field, mergeKey: field.mergeKey, lists });
  } else if (!jsonEqual(value, now)) patch.set(key, value);
}

interface Lists {
  readonly before: readonly unknown[];
  readonly value: readonly unknown[];
  readonly now: readonly unknown[];
}

function diffScalars(patch: Patch, key: string, { before, value, now }: Lists): void {
  const added = value.filter((item) => !now.includes(item));
  const deleted = before.filter((item) => !value.includes(item));
  if (added.length > 0) patch.set(key, added);
  if (deleted.length > 0) patch.set(`${DELETE_FROM_PRIMITIVE_LIST}${key}`, [...new Set(deleted)]);
  const sameOrder = jsonEqual(
    value,
    now.filter((item) => value.includes(item)),
  );
  if ((!sameOrder || added.length > 0 || deleted.length > 0) && now.length > 0) {
    patch.set(`${SET_ELEMENT_ORDER}${key}`, value);
  }
}

interface ItemChange extends Change {
  readonly field: MergeField;
  readonly mergeKey: string;
  readonly lists: Lists;
}

/** Items by merge key; several with one key (ports of two protocols) pair up in their order. */
function groupItems(items: readonly unknown[], mergeKey: string): Map<unknown, JsonObject[]> {
  const groups = new Map<unknown, JsonObject[]>();
  for (const item of items) {
    const object = objectOr(item);
    if (!Object.hasOwn(object, mergeKey)) throw noMergeKey(object, mergeKey);
    const group = groups.get(object[mergeKey]);
    if (group === undefined) groups.set(object[mergeKey], [object]);
    else group.push(object);
  }
  return groups;
}

function diffItems(patch: Patch, { key, field, mergeKey, lists }: ItemChange): void {
  const [before, value, now] = [lists.before, lists.value, lists.now].map((list) =>
    groupItems(list, mergeKey),
  );
  const taken = new Map<unknown, number>();
  const items: JsonObject[] = [];
  for (const item of lists.value as readonly JsonObject[]) {
    const name = item[mergeKey];
    const nth = taken.get(name) ?? 0;
    taken.set(name, nth + 1);
    const current = now?.get(name)?.[nth];
    if (current === undefined) {
      items.push(item);
      continue;
    }
    const states = { original: before?.get(name)?.[nth] ?? {}, modified: item, current };
    const inner = diffObject(states, { type: field.type, retainKeys: field.retainKeys ?? false });
    if (Object.keys(inner).length > 0) items.push({ ...inner, [mergeKey]: name });
  }
  const gone = [...(before?.keys() ?? [])].filter((name) => value?.has(name) !== true);
  const patchItems = [...items, ...gone.map((name) => ({ [mergeKey]: name, [PATCH]: "delete" }))];
  if (patchItems.length > 0) patch.set(key, patchItems);
  if (lists.now.length > 0 && (patchItems.length > 0 || !sameOrder(lists, mergeKey))) {
    patch.set(
      `${SET_ELEMENT_ORDER}${key}`,
      lists.value.map((item) => ({ [mergeKey]: (item as JsonObject)[mergeKey] })),
    );
  }
}

/** kubectl counts a list as reordered when it is longer or shorter, too. */
function sameOrder({ value, now }: Lists, mergeKey: string): boolean {
  const keys = [value, now].map((list) => list.map((item) => objectOr(item)[mergeKey]));
  return jsonEqual(keys[0], keys[1]);
}
