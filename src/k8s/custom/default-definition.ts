/** What the API server fills in of a CustomResourceDefinition (`apiextensions/v1/defaults.go`). */
import { isJsonObject } from "../../lib/frozen-json.ts";

/** In place; the draft is decoded, yet may lack anything. */
export function defaultDefinition(draft: Record<string, unknown>): void {
  const spec = draft["spec"] as Record<string, unknown> | undefined;
  if (spec === undefined) return;
  const names = spec["names"];
  if (isJsonObject(names) && typeof names["kind"] === "string" && names["kind"] !== "") {
    const { kind } = names;
    spec["names"] = { singular: kind.toLowerCase(), listKind: `${kind}List`, ...withoutEmpty(names) };
  }
  spec["conversion"] ??= { strategy: "None" };
}

function withoutEmpty(names: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(names).filter(([, value]) => value !== ""));
}
