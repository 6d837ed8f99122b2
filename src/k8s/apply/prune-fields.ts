/** Takes out of an object what its manifest no longer says and nobody else has said (structured-merge-diff `Updater.prune`). */
import type { JsonObject } from "../../lib/frozen-json.ts";
import type { MergeField, MergeType } from "../patch/merge-schema.ts";
import { isGranularList, isGranularObject, isNamed, itemShape } from "./field-shape.ts";
import { below, type FieldSet, isMember } from "./field-set.ts";
import { itemElement } from "./path-element.ts";

export interface PruneSets {
  /** What the manager has owned until now. */
  readonly last: FieldSet;
  /** What somebody owns now, the manager with its new manifest included. */
  readonly owned: FieldSet | undefined;
}

/** A copy; what is not touched is shared with the argument. A struct goes with the last of its fields that had an owner. */
export function pruneFields(object: JsonObject, sets: PruneSets, type: MergeType | undefined): JsonObject {
  const result = new Map(Object.entries(object));
  for (const [element, last] of Object.entries(sets.last)) {
    if (!element.startsWith("f:")) continue;
    const name = element.slice(2);
    const value = result.get(name);
    if (value === undefined) continue;
    const inner = { last, owned: below(sets.owned, element) };
    const left = prunedField(value, inner, { field: type?.field(name), isStruct: isNamed(type, name) });
    if (left === undefined) result.delete(name);
    else result.set(name, left);
  }
  return Object.fromEntries(result);
}

interface Place {
  readonly field: MergeField | undefined;
  /** The field of a struct, which counts as owned as long as anything in it is. */
  readonly isStruct: boolean;
}

/** Undefined when the field goes. */
function prunedField(value: unknown, sets: PruneSets, { field, isStruct }: Place): unknown {
  const { last, owned } = sets;
  const wasOwned = isMember(last) || isStruct;
  const isOwned = owned !== undefined && (isMember(owned) || isStruct);
  if (wasOwned && !isOwned && !holdsEntries(value, field)) return undefined;
  // In a list or map there may be what nobody owns: what the cluster itself has written.
  return pruneValue(value, sets, field);
}

function holdsEntries(value: unknown, field: MergeField | undefined): boolean {
  if (isGranularList(value, field)) return true;
  return isGranularObject(value, field) && (field?.type === undefined || field.type.isMap === true);
}

function pruneValue(value: unknown, sets: PruneSets, field: MergeField | undefined): unknown {
  if (isGranularObject(value, field)) {
    const left = pruneFields(value, sets, field?.type);
    return isGone(value, left, sets) ? undefined : left;
  }
  if (field === undefined || !isGranularList(value, field)) return value;
  const left = pruneItems(value, sets, field);
  return isGone(value, left, sets) ? undefined : left;
}

/** What has lost all that was in it goes too, unless somebody wants it empty. */
function isGone(before: object, after: object, { owned }: PruneSets): boolean {
  if (Object.keys(after).length > 0 || Object.keys(before).length === 0) return false;
  return owned === undefined || !isMember(owned);
}

function pruneItems(list: readonly unknown[], { last, owned }: PruneSets, field: MergeField): unknown[] {
  const shape = itemShape(field);
  return list.flatMap((item) => {
    const element = itemElement(item, field);
    const before = below(last, element);
    if (before === undefined) return [item];
    const now = below(owned, element);
    if (isMember(before) && (now === undefined || !isMember(now))) return [];
    return [pruneValue(item, { last: before, owned: now }, shape) ?? {}];
  });
}
