/** Which fields a write has changed, added and removed (structured-merge-diff `TypedValue.Compare`). */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { jsonEqual, ownValue } from "../patch/json.ts";
import type { MergeField, MergeType } from "../patch/merge-schema.ts";
import { isGranularList, isGranularObject, itemsByElement, itemShape } from "./field-shape.ts";
import { type FieldSet, LEAF, NO_FIELDS, SELF } from "./field-set.ts";
import { fieldElement } from "./path-element.ts";

export interface FieldChanges {
  /** Modified or added. What is added is in the set with every object and list on the way down. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

/** Null is a value; undefined is none. */
export function compareFields(
  before: JsonObject,
  after: JsonObject,
  type: MergeType | undefined,
): FieldChanges {
  const { changed = NO_FIELDS, removed = NO_FIELDS } = compareObjects(before, after, type) ?? {};
  return { changed, removed };
}

/** Absent sets are empty; undefined altogether is no change. */
interface Difference {
  readonly changed?: FieldSet;
  readonly removed?: FieldSet;
}

function compareValues(
  before: unknown,
  after: unknown,
  field: MergeField | undefined,
): Difference | undefined {
  if (before === after) return undefined;
  if (before === undefined) return { changed: everything(after, field) };
  if (after === undefined) return { removed: everything(before, field) };
  // An empty one and none at all differ as values do; null stands for either.
  if (!isHollow(before) || !isHollow(after)) {
    const [old, fresh] = [before ?? hollow(after), after ?? hollow(before)];
    if (isGranularObject(old, field) && isGranularObject(fresh, field)) {
      return compareObjects(old, fresh, field?.type);
    }
    if (field !== undefined && isGranularList(old, field) && isGranularList(fresh, field)) {
      return compareLists(old, fresh, field);
    }
  }
  return jsonEqual(before, after) ? undefined : { changed: LEAF };
}

function isHollow(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === null || (isJsonObject(value) && Object.keys(value).length === 0);
}

function hollow(like: unknown): unknown {
  return Array.isArray(like) ? [] : {};
}

function compareObjects(
  before: JsonObject,
  after: JsonObject,
  type: MergeType | undefined,
): Difference | undefined {
  const found = new Differences();
  for (const [name, value] of Object.entries(after)) {
    const old = ownValue(before, name);
    if (old !== value) found.add(fieldElement(name), compareValues(old, value, type?.field(name)));
  }
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined || ownValue(after, name) !== undefined) continue;
    found.add(fieldElement(name), { removed: everything(value, type?.field(name)) });
  }
  return found.result();
}

function compareLists(
  before: readonly unknown[],
  after: readonly unknown[],
  field: MergeField,
): Difference | undefined {
  const [old, fresh] = [itemsByElement(before, field), itemsByElement(after, field)];
  const shape = itemShape(field);
  const found = new Differences();
  for (const [element, item] of fresh) found.add(element, compareValues(old.get(element), item, shape));
  for (const [element, item] of old) {
    if (!fresh.has(element)) found.add(element, { removed: everything(item, shape) });
  }
  return found.result();
}

/** What the elements of one object or list add up to. */
class Differences {
  #changed: Record<string, FieldSet> | undefined;
  #removed: Record<string, FieldSet> | undefined;

  add(element: string, difference: Difference | undefined): void {
    if (difference === undefined) return;
    const { changed, removed } = difference;
    if (changed !== undefined) {
      this.#changed ??= {};
      this.#changed[element] = changed;
    }
    if (removed !== undefined) {
      this.#removed ??= {};
      this.#removed[element] = removed;
    }
  }

  result(): Difference | undefined {
    if (this.#changed === undefined && this.#removed === undefined) return undefined;
    return {
      ...(this.#changed === undefined ? {} : { changed: this.#changed }),
      ...(this.#removed === undefined ? {} : { removed: this.#removed }),
    };
  }
}

/** A value and all that is in it. */
function everything(value: unknown, field: MergeField | undefined): FieldSet {
  const inner: Record<string, FieldSet> = {};
  if (isGranularObject(value, field)) {
    for (const [name, one] of Object.entries(value)) {
      if (one !== undefined) inner[fieldElement(name)] = everything(one, field?.type?.field(name));
    }
  } else if (field !== undefined && isGranularList(value, field)) {
    const shape = itemShape(field);
    for (const [element, item] of itemsByElement(value, field)) inner[element] = everything(item, shape);
  }
  return Object.keys(inner).length === 0 ? LEAF : { [SELF]: LEAF, ...inner };
}
