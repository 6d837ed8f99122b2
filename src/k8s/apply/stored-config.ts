/** A manifest with its values as they are stored (`1000m` is `1`), yet with nothing that it does not say. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { ownValue } from "../patch/json.ts";
import type { MergeType } from "../patch/merge-schema.ts";

/**
 * `decoded` is the manifest as an object of its kind: without unknown fields and zeros, with empty structs that nobody wrote.
 * Nulls say nothing. A zero is kept: who applies `hostNetwork: false` means it.
 */
export function storedConfig(raw: JsonObject, decoded: JsonObject, type: MergeType | undefined): JsonObject {
  const result = new Map<string, unknown>();
  for (const [name, value] of Object.entries(raw)) {
    if (value === null || value === undefined) continue;
    const field = type?.field(name);
    const stored = ownValue(decoded, name);
    if (stored !== undefined) result.set(name, storedValue(value, stored, field?.type));
    else if (field !== undefined || type === undefined || type.isMap === true) result.set(name, value);
  }
  return Object.fromEntries(result);
}

function storedValue(raw: unknown, decoded: unknown, type: MergeType | undefined): unknown {
  if (isJsonObject(raw) && isJsonObject(decoded)) return storedConfig(raw, decoded, type);
  if (Array.isArray(raw) && Array.isArray(decoded) && raw.length === decoded.length) {
    return decoded.map((item, index) => storedValue(raw[index], item, type));
  }
  return decoded;
}
