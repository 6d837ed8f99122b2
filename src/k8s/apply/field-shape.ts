/** Which parts of a value are fields of their own, to be owned one by one, and which belong to one owner as a whole. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import type { MergeField, MergeType } from "../patch/merge-schema.ts";
import { itemElement } from "./path-element.ts";

/** What belongs to one owner, whatever is in it. */
const ATOMIC: MergeField = { topology: "atomic" };

/** An object whose fields are owned one by one. */
export function isGranularObject(value: unknown, field: MergeField | undefined): value is JsonObject {
  return isJsonObject(value) && field?.topology !== "atomic";
}

/** A list whose items are owned one by one. */
export function isGranularList(value: unknown, field: MergeField | undefined): value is readonly unknown[] {
  return Array.isArray(value) && (field?.topology === "map" || field?.topology === "set");
}

/** Of the items of a granular list. */
export function itemShape(field: MergeField): MergeField {
  if (field.atomicItems === true || field.topology === "set") return ATOMIC;
  return field.type === undefined ? {} : { type: field.type };
}

/** Whether this is a field of a struct, which is there as long as anything in it is, and not an entry of a map. */
export function isNamed(type: MergeType | undefined, name: string): boolean {
  return type !== undefined && type.isMap !== true && type.field(name) !== undefined;
}

/** The items of a granular list by their path elements. Items that cannot be told apart stand together in a list. */
export function itemsByElement(list: readonly unknown[], field: MergeField): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const item of list) {
    const element = itemElement(item, field);
    found.set(element, found.has(element) ? [found.get(element), item] : item);
  }
  return found;
}
