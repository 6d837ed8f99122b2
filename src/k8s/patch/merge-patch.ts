/** JSON Merge Patch (RFC 7386), what kubectl sends for labels, annotations and custom resources. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { ownValue } from "./json.ts";

/** RFC 7386 section 2: null removes, objects merge, everything else replaces. The target stays as it was. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const result = new Map(isJsonObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, applyMergePatch(result.get(key), value));
  }
  return Object.fromEntries(result);
}

/** The patch that turns `from` into `to`; neither may hold nulls, which a merge patch cannot express. */
export function createMergePatch(from: JsonObject, to: JsonObject): JsonObject {
  const patch = new Map<string, unknown>();
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) patch.set(key, null);
  for (const [key, value] of Object.entries(to)) {
    const before = ownValue(from, key);
    if (isJsonObject(before) && isJsonObject(value)) {
      const inner = createMergePatch(before, value);
      if (Object.keys(inner).length > 0) patch.set(key, inner);
    } else if (!Object.hasOwn(from, key) || !Bun.deepEquals(before, value)) patch.set(key, value);
  }
  return Object.fromEntries(patch);
}
