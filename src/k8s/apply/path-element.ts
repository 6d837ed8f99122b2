/** How one step of a field path is written: as a key of `FieldsV1`, and as people read it in a conflict. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { goQuote } from "../go-format.ts";
import { listMapKey } from "../patch/match-item.ts";
import type { MergeField } from "../patch/merge-schema.ts";

/** The element of a field of an object, or of an entry of a map. */
export function fieldElement(name: string): string {
  return `f:${name}`;
}

/** Which item of a list this is, whatever its place: by its keys in a list of topology `map`, else by its value. */
export function itemElement(item: unknown, { topology, listMapKeys = [] }: MergeField): string {
  if (topology !== "map" || !isJsonObject(item)) return `v:${JSON.stringify(item)}`;
  const keys = listMapKeys.toSorted().map((key) => [key, listMapKey(item, key)] as const);
  return `k:${JSON.stringify(Object.fromEntries(keys.filter(([, value]) => value !== undefined)))}`;
}

/** `.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]`, `.metadata.finalizers[="a"]`. */
export function printPath(path: readonly string[]): string {
  return path.map(printElement).join("");
}

function printElement(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith("f:")) return `.${rest}`;
  if (element.startsWith("i:")) return `[${rest}]`;
  const value: unknown = JSON.parse(rest);
  if (element.startsWith("v:")) return `[=${printValue(value)}]`;
  const keys = Object.entries(value as JsonObject).map(([key, one]) => `${key}=${printValue(one)}`);
  return `[${keys.join(",")}]`;
}

function printValue(value: unknown): string {
  return typeof value === "string" ? goQuote(value) : JSON.stringify(value);
}
