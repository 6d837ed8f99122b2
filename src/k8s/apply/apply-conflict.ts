/** What an apply is refused with when others own what it wants to change, in the words of the real server. */
import { goQuote } from "../go-format.ts";
import { StatusError } from "../status-error.ts";
import { type FieldSet, pathsOf } from "./field-set.ts";
import type { Owner } from "./owners.ts";
import { printPath } from "./path-element.ts";

export interface OwnerConflict {
  readonly owner: Owner;
  /** What the owner has and the apply would change. */
  readonly fields: FieldSet;
}

/** 409 with a cause for every field (apimachinery `NewApplyConflict`). */
export function applyConflict(conflicts: readonly OwnerConflict[]): StatusError {
  const all = conflicts
    .flatMap(({ owner, fields }) =>
      [...pathsOf(fields)].map((path) => ({ owner: printOwner(owner), path: printPath(path) })),
    )
    .toSorted((a, b) => compareText(a.owner, b.owner) || compareText(a.path, b.path));
  return new StatusError("Conflict", conflictMessage(all), {
    causes: all.map(({ owner, path }) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${owner}`,
      field: path,
    })),
  });
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function conflictMessage(all: readonly { readonly owner: string; readonly path: string }[]): string {
  const [first] = all;
  if (all.length === 1 && first !== undefined) {
    return `Apply failed with 1 conflict: conflict with ${first.owner}: ${first.path}`;
  }
  const owners = [...new Set(all.map(({ owner }) => owner))];
  const lines = owners.map((owner) => {
    const paths = all.filter((one) => one.owner === owner).map(({ path }) => `- ${path}`);
    return `conflicts with ${owner}:\n${paths.join("\n")}`;
  });
  return `Apply failed with ${all.length} conflicts: ${lines.join("\n")}`;
}

function printOwner({ manager, operation, apiVersion, subresource }: Owner): string {
  const name = `${goQuote(manager)}${subresource === "" ? "" : ` with subresource ${goQuote(subresource)}`}`;
  return operation === "Update" ? `${name} using ${apiVersion}` : name;
}
