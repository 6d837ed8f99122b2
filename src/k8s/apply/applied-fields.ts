/** Which fields a manifest speaks of, and so owns when it is applied (structured-merge-diff `TypedValue.ToFieldSet`). */
import type { JsonObject } from "../../lib/frozen-json.ts";
import type { MergeField, MergeType } from "../patch/merge-schema.ts";
import { isGranularList, isGranularObject, isNamed, itemsByElement, itemShape } from "./field-shape.ts";
import { type FieldSet, LEAF, SELF } from "./field-set.ts";
import { fieldElement } from "./path-element.ts";

/**
 * Structs are not owned, only what is in them; entries of maps and items of lists are. Null is an absent field: nobody owns what
 * is not there.
 */
export function appliedFields(object: JsonObject, type: MergeType | undefined): FieldSet {
  const found: Record<string, FieldSet> = {};
  for (const [name, value] of Object.entries(object)) {
    if (value === null || value === undefined) continue;
    const node = nodeOf(value, type?.field(name));
    if (isNamed(type, name)) {
      if (node !== undefined) found[fieldElement(name)] = node;
    } else {
      found[fieldElement(name)] = withSelf(node);
    }
  }
  return found;
}

function withSelf(node: FieldSet | undefined): FieldSet {
  return node === undefined || node === LEAF ? LEAF : { [SELF]: LEAF, ...node };
}

/** Undefined for what holds nothing to own: an empty list that others may add to, a struct with nothing else in it. */
function nodeOf(value: unknown, field: MergeField | undefined): FieldSet | undefined {
  if (isGranularObject(value, field)) {
    const inner = appliedFields(value, field?.type);
    if (Object.keys(inner).length > 0) return inner;
    return Object.keys(value).length === 0 ? LEAF : undefined;
  }
  if (field === undefined || !isGranularList(value, field)) return LEAF;
  if (value.length === 0) return undefined;
  const shape = itemShape(field);
  const items: Record<string, FieldSet> = {};
  for (const [element, item] of itemsByElement(value, field)) {
    items[element] = withSelf(nodeOf(item, shape));
  }
  return items;
}
