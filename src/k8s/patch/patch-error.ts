/** Why a strategic merge patch cannot be applied, in the words of apimachinery `util/mergepatch`. */
import { StatusError } from "../status-error.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";

/** Go's `%v`: `map[a:1 b:[x y]]`. */
function goValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goValue).join(" ")}]`;
  if (!isJsonObject(value)) return value === null ? "<nil>" : `${value as string | number | boolean}`;
  const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${pairs.map(([key, inner]) => `${key}:${goValue(inner)}`).join(" ")}]`;
}

/** Long values would drown the message and may hold anything. */
function bounded(value: unknown): string {
  const text = goValue(value);
  return text.length > 400 ? `${text.slice(0, 400)}...` : text;
}

export function badPatch(message: string): StatusError {
  return new StatusError("BadRequest", message);
}

export function noMergeKey(item: JsonObject, mergeKey: string): StatusError {
  return badPatch(`map: ${bounded(item)} does not contain declared merge key: ${mergeKey}`);
}

export function unknownDirective(directive: unknown, item: JsonObject): StatusError {
  return badPatch(`unknown patch type: ${bounded(directive)} in map: ${bounded(item)}`);
}

export function mixedList(...lists: readonly (readonly unknown[])[]): StatusError {
  return badPatch(`list element types are not identical: ${bounded(lists)}`);
}

export function wrongOrder(list: readonly unknown[], order: readonly unknown[]): StatusError {
  return badPatch(
    `The order in patch list:\n${bounded(list)}\n doesn't match $setElementOrder list:\n${bounded(order)}\n`,
  );
}
