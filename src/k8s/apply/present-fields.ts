/** Which owned fields are still there: the cluster's own controllers remove fields without asking who owns them. */
import type { JsonObject } from "../../lib/frozen-json.ts";
import { ownValue } from "../patch/json.ts";
import type { MergeField, MergeType } from "../patch/merge-schema.ts";
import { isGranularList, isGranularObject, itemsByElement, itemShape } from "./field-shape.ts";
import { type FieldSet, isMember, LEAF, SELF } from "./field-set.ts";
import { fieldElement } from "./path-element.ts";

/** The part of `set` that `object` has; `set` itself where it has all of it. */
export function presentFields(set: FieldSet, object: JsonObject, type: MergeType | undefined): FieldSet {
  return presentBelow(set, (element) => {
    const name = element.slice(2);
    const value = element === fieldElement(name) ? ownValue(object, name) : undefined;
    return { value, field: type?.field(name) };
  });
}

interface Found {
  /** Undefined for what is not there. */
  readonly value: unknown;
  readonly field: MergeField | undefined;
}

function presentBelow(set: FieldSet, find: (element: string) => Found): FieldSet {
  const kept: Record<string, FieldSet> = {};
  let isSame = true;
  for (const [element, node] of Object.entries(set)) {
    const left = element === SELF ? node : presentNode(node, find(element));
    if (left !== undefined) kept[element] = left;
    if (left !== node) isSame = false;
  }
  return isSame ? set : kept;
}

/** Undefined where nothing is left. A path that leads into what belongs together, from an older schema, stays as it is. */
function presentNode(node: FieldSet, { value, field }: Found): FieldSet | undefined {
  if (value === undefined) return undefined;
  const left = childrenOf(node, value, field);
  const isEmpty = Object.keys(left).every((element) => element === SELF);
  if (!isEmpty) return left;
  if (!isMember(node)) return undefined;
  return left === node ? node : LEAF;
}

function childrenOf(node: FieldSet, value: unknown, field: MergeField | undefined): FieldSet {
  if (isGranularObject(value, field)) return presentFields(node, value, field?.type);
  if (field === undefined || !isGranularList(value, field)) return node;
  const items = itemsByElement(value, field);
  const shape = itemShape(field);
  return presentBelow(node, (element) => ({ value: items.get(element), field: shape }));
}
