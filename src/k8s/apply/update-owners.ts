/** Ownership after a write that is no apply: who writes owns what it has changed, and nobody else does any more. */
import type { JsonObject } from "../../lib/frozen-json.ts";
import type { MergeType } from "../patch/merge-schema.ts";
import { compareFields } from "./compare-fields.ts";
import { difference, isEmptySet, union } from "./field-set.ts";
import { capUpdaters, isSameOwner, type Owner, type Owners, withOwner } from "./owners.ts";

/** Both as `ownedPart` gives them. */
export interface Written {
  readonly before: JsonObject;
  readonly after: JsonObject;
  readonly type: MergeType | undefined;
}

/** The argument itself when nothing has changed. `time` is RFC 3339. */
export function updateOwners(
  owners: Owners,
  { before, after, type }: Written,
  { owner, time }: { readonly owner: Owner; readonly time: string | undefined },
): Owners {
  const { changed, removed } = compareFields(before, after, type);
  if (isEmptySet(changed) && isEmptySet(removed)) return owners;
  const lost = union(changed, removed);
  const left = owners
    .map((one) => ({ ...one, fields: difference(one.fields, isSameOwner(one, owner) ? removed : lost) }))
    .filter(({ fields }) => !isEmptySet(fields));
  if (isEmptySet(changed)) return left;
  const own = left.find((one) => isSameOwner(one, owner));
  const fields = own === undefined ? changed : union(own.fields, changed);
  return capUpdaters(withOwner(left, { ...owner, time, fields }));
}
