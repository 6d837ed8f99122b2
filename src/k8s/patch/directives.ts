/** The keys of a strategic merge patch that are orders to the server and not data. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";

export const PATCH = "$patch";
export const RETAIN_KEYS = "$retainKeys";
export const SET_ELEMENT_ORDER = "$setElementOrder/";
export const DELETE_FROM_PRIMITIVE_LIST = "$deleteFromPrimitiveList/";

export function isDirective(key: string): boolean {
  return (
    key === PATCH ||
    key === RETAIN_KEYS ||
    key.startsWith(SET_ELEMENT_ORDER) ||
    key.startsWith(DELETE_FROM_PRIMITIVE_LIST)
  );
}

/** The plain value that a patch puts where nothing was: no directives, no nulls, no items that say delete. */
export function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value
      .filter((item) => !(isJsonObject(item) && Object.hasOwn(item, PATCH) && item[PATCH] !== "merge"))
      .map(withoutDirectives);
  }
  if (!isJsonObject(value)) return value;
  if (value[PATCH] === "delete") return {};
  const kept = Object.entries(value).filter(([key, inner]) => inner !== null && !isDirective(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutDirectives(inner)]));
}

/** Pairs of a directive with a field name behind its slash. */
export function fieldDirectives(
  patch: JsonObject,
  prefix: string,
): (readonly [field: string, value: unknown])[] {
  return Object.entries(patch)
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [key.slice(prefix.length), value] as const);
}
