/** Who owns which fields of an object: `metadata.managedFields`, read and written (KEP-555). */
import type { ManagedFieldsEntry } from "../../../generated/kubernetes.ts";
import { type FieldSet, isEmptySet, isFieldSet, union } from "./field-set.ts";

/** Managers are told apart by name, by how they write, and by the subresource they write to. */
export interface Owner {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  /** Empty for the object itself. */
  readonly subresource: string;
}

export interface OwnedFields extends Owner {
  readonly fields: FieldSet;
  /** RFC 3339; when the owner last changed something. */
  readonly time: string | undefined;
}

/** Who owns nothing is not among them. */
export type Owners = readonly OwnedFields[];

/** An applier stays itself in another version of the API; its fields move along. */
export function isSameOwner(a: Owner, b: Owner): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    a.subresource === b.subresource &&
    (a.operation === "Apply" || a.apiVersion === b.apiVersion)
  );
}

/** Undefined when an entry is not one (`DecodeManagedFields`). */
export function readOwners(entries: readonly ManagedFieldsEntry[] = []): Owners | undefined {
  const owners: OwnedFields[] = [];
  for (const entry of entries) {
    const owner = readOwner(entry);
    if (owner === undefined) return undefined;
    owners.push(owner);
  }
  return owners;
}

function readOwner(entry: ManagedFieldsEntry): OwnedFields | undefined {
  const { operation, fieldsType, fieldsV1 = {} } = entry;
  if ((operation !== "Apply" && operation !== "Update") || fieldsType !== "FieldsV1") return undefined;
  if (!isFieldSet(fieldsV1)) return undefined;
  const { manager = "", apiVersion = "", subresource = "", time } = entry;
  return { manager, operation, apiVersion, subresource, time, fields: fieldsV1 };
}

/** Appliers first, then by time and name, as the real server sorts them. */
export function writeOwners(owners: Owners): ManagedFieldsEntry[] {
  return owners.toSorted(inOrder).map(({ manager, operation, apiVersion, subresource, time, fields }) => ({
    apiVersion,
    fieldsType: "FieldsV1",
    fieldsV1: fields,
    manager,
    operation,
    ...(subresource === "" ? {} : { subresource }),
    ...(time === undefined ? {} : { time }),
  }));
}

const SORTED_BY = ["operation", "time", "manager", "apiVersion", "subresource"] as const;

function inOrder(a: OwnedFields, b: OwnedFields): number {
  for (const key of SORTED_BY) {
    const [left, right] = [a[key] ?? "", b[key] ?? ""];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** The same owner's fields put in the place of those it had; without any it is gone. */
export function withOwner(owners: Owners, owner: OwnedFields): Owners {
  const others = owners.filter((other) => !isSameOwner(other, owner));
  return isEmptySet(owner.fields) ? others : [...others, owner];
}

/** As the real server's `DefaultMaxUpdateManagers`. */
const MAX_UPDATERS = 10;
const OLD_UPDATERS = "ancient-changes";

/** The oldest of too many updaters become one, so that ownership does not outgrow the object (`capManagersManager`). */
export function capUpdaters(owners: Owners): Owners {
  const updaters = owners.filter(({ operation }) => operation === "Update").toSorted(inOrder);
  const surplus = updaters.length - MAX_UPDATERS;
  if (surplus <= 0) return owners;
  const old = updaters.filter(({ manager }) => manager === OLD_UPDATERS);
  const merged = [...old, ...updaters.filter((one) => !old.includes(one)).slice(0, surplus + 1 - old.length)];
  const [first] = merged;
  if (first === undefined) return owners;
  const rest = owners.filter((one) => !merged.includes(one));
  const byVersion = new Map<string, OwnedFields>();
  for (const one of merged) {
    const before = byVersion.get(one.apiVersion);
    const fields = before === undefined ? one.fields : union(before.fields, one.fields);
    byVersion.set(one.apiVersion, { ...one, manager: OLD_UPDATERS, subresource: "", fields });
  }
  return [...rest, ...byVersion.values()];
}
