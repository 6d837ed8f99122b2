/** The part of an object that writers own: not what the server says of it, and not what this request cannot change. */
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";

/** Nobody's: `stripMeta` of the real server, and what only a delete sets. */
const SERVERS_METADATA: ReadonlySet<string> = new Set([
  "name",
  "namespace",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "selfLink",
  "uid",
  "generation",
  "managedFields",
  "resourceVersion",
]);

/** `status`: a write to that subresource. `main`: one to a resource that has it. `all`: one to any other. */
export type WrittenPart = "status" | "main" | "all";

/** A shallow copy with the fields that this write is about (`ResetFields` of each strategy). */
export function ownedPart(object: JsonObject, part: WrittenPart): JsonObject {
  if (part === "status") return Object.fromEntries(entriesOf(object).filter(([name]) => name === "status"));
  const { apiVersion: _a, kind: _k, metadata, ...rest } = object;
  const own = isJsonObject(metadata)
    ? Object.fromEntries(entriesOf(metadata).filter(([name]) => !SERVERS_METADATA.has(name)))
    : {};
  if (part === "all") return { metadata: own, ...rest };
  const { status: _s, ...desired } = rest;
  return { metadata: own, ...desired };
}

function entriesOf(object: JsonObject): [string, unknown][] {
  return Object.entries(object);
}
