/** Server-side apply (KEP-555, structured-merge-diff `Updater.Apply`): merge, prune, and settle who owns what. */
import type { JsonObject } from "../../lib/frozen-json.ts";
import { applyMerge } from "../patch/apply-merge.ts";
import type { MergeType } from "../patch/merge-schema.ts";
import { applyConflict, type OwnerConflict } from "./apply-conflict.ts";
import { appliedFields } from "./applied-fields.ts";
import { compareFields, type FieldChanges } from "./compare-fields.ts";
import { difference, type FieldSet, intersection, isEmptySet, NO_FIELDS, union } from "./field-set.ts";
import { isSameOwner, type OwnedFields, type Owner, type Owners, withOwner } from "./owners.ts";
import { pruneFields } from "./prune-fields.ts";

export interface ApplyRequest {
  /** As `ownedPart` gives them: the stored object, and the manifest with values as they are stored, without nulls. */
  readonly live: JsonObject;
  readonly config: JsonObject;
  readonly type: MergeType | undefined;
  readonly owners: Owners;
  readonly owner: Owner;
  /** RFC 3339. */
  readonly time: string;
  readonly force: boolean;
  /** Of other owners, to be taken over without being forced. */
  readonly allowed?: FieldSet;
}

export interface Applied {
  /** The live object with what the manifest says and without what it no longer says. */
  readonly object: JsonObject;
  readonly owners: Owners;
}

/** Throws `Conflict`. Applying the same again gives equal owners, time included. */
export function applyFields(request: ApplyRequest): Applied {
  const { live, config, type, owners, owner } = request;
  const own = owners.find((one) => isSameOwner(one, owner));
  const others = owners.filter((one) => one !== own);
  const fields = appliedFields(config, type);
  const merged = applyMerge(live, config, type);
  const owned = others.reduce((all, one) => union(all, one.fields), fields);
  const last = own?.fields ?? NO_FIELDS;
  const object = prune(merged, { last, owned }, type);
  const changes = compareFields(live, object, type);
  const left = settle(others, changes, request);
  const isSame = own !== undefined && isUnchanged(changes) && isSameSet(last, fields);
  const entry = isSame ? own : { ...owner, time: request.time, fields };
  return { object, owners: withOwner(left, entry) };
}

/** Metadata never goes as a whole: the name is in it. */
function prune(
  merged: JsonObject,
  { last, owned }: { readonly last: FieldSet; readonly owned: FieldSet },
  type: MergeType | undefined,
): JsonObject {
  if (isEmptySet(last)) return merged;
  const pruned = pruneFields(merged, { last, owned: union(owned, KEPT) }, type);
  return Object.hasOwn(merged, "metadata") ? { metadata: {}, ...pruned } : pruned;
}

const KEPT: FieldSet = { "f:metadata": { "f:name": {} } };

function isUnchanged({ changed, removed }: FieldChanges): boolean {
  return isEmptySet(changed) && isEmptySet(removed);
}

function isSameSet(a: FieldSet, b: FieldSet): boolean {
  return isEmptySet(difference(a, b)) && isEmptySet(difference(b, a));
}

/** What is left to the others. Throws `Conflict` unless they may be overruled. */
function settle(others: Owners, changes: FieldChanges, { force, allowed }: ApplyRequest): OwnedFields[] {
  if (isUnchanged(changes)) return [...others];
  const { changed, removed } = changes;
  const conflicts: OwnerConflict[] = others
    .map((owner) => ({ owner, fields: intersection(owner.fields, changed) }))
    .filter(({ fields }) => !isEmptySet(fields));
  if (!force) {
    const refused = conflicts
      .map(({ owner, fields }) => ({ owner, fields: difference(fields, allowed ?? NO_FIELDS) }))
      .filter(({ fields }) => !isEmptySet(fields));
    if (refused.length > 0) throw applyConflict(refused);
  }
  const lost = union(changed, removed);
  return others
    .map((one) => ({ ...one, fields: difference(one.fields, lost) }))
    .filter(({ fields }) => !isEmptySet(fields));
}
