/** Steps from one JSON document to the next: patches build new ones and share what stayed. */
import type { JsonObject } from "../../lib/frozen-json.ts";

/** Deep equality; the order of keys does not count, a key that is absent is not a key that is null. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  return Bun.deepEquals(a, b);
}

/** How deeply lists and objects are nested, and how many values there are in them. */
export function jsonExtent(value: unknown): { readonly depth: number; readonly values: number } {
  if (typeof value !== "object" || value === null) return { depth: 0, values: 1 };
  let [depth, values] = [0, 1];
  for (const one of Object.values(value)) {
    const inner = jsonExtent(one);
    depth = Math.max(depth, inner.depth);
    values += inner.values;
  }
  return { depth: depth + 1, values };
}

/** The own property, never one of Object.prototype. */
export function ownValue(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** A new object; data properties only, so that a key `__proto__` is a key like any other. */
export function withEntry(object: JsonObject, key: string, value: unknown): JsonObject {
  return { ...object, [key]: value };
}

export function withoutKey(object: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}
