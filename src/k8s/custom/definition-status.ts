/** What a definition's status says: whose names are taken, what is served, how far a deletion has come. */
import { formatTimestamp } from "../timestamp.ts";
import type { KubeObject } from "../object.ts";
import {
  conditionOf,
  type Definition,
  type DefinitionCondition,
  type DefinitionNames,
  isDefinition,
  isTrue,
} from "./definition.ts";

/** Keeps a definition until the last of its objects is gone. */
export const CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";

export type Finding = Omit<DefinitionCondition, "lastTransitionTime">;

const TERMINATING = "Terminating";

export const DELETION_PENDING: Finding = {
  type: TERMINATING,
  status: "True",
  reason: "InstanceDeletionPending",
  message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
};

export const DELETION_RUNNING: Finding = {
  type: TERMINATING,
  status: "True",
  reason: "InstanceDeletionInProgress",
  message: "CustomResource deletion is in progress",
};

export const DELETION_COMPLETED: Finding = {
  type: TERMINATING,
  status: "False",
  reason: "InstanceDeletionCompleted",
  message: "removed all instances",
};

/** The object with this condition among its conditions; one that says the same keeps its time. */
export function withCondition(definition: Definition, finding: Finding, now: number): Definition {
  const before = conditionOf(definition, finding.type);
  const isSame =
    before?.status === finding.status &&
    before.reason === finding.reason &&
    before.message === finding.message;
  if (isSame) return definition;
  const lastTransitionTime =
    before?.status === finding.status && before.lastTransitionTime !== undefined
      ? before.lastTransitionTime
      : formatTimestamp(now);
  const { type, status, reason, message } = finding;
  const condition: DefinitionCondition = {
    type,
    status,
    lastTransitionTime,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
  const list = definition.status?.conditions ?? [];
  const conditions =
    before === undefined ? [...list, condition] : list.map((one) => (one === before ? condition : one));
  return { ...definition, status: { ...definition.status, conditions } };
}

/** For the first DELETE; what is no whole definition stays as it is. */
export function withTerminating(object: KubeObject, finding: Finding, now: number): KubeObject {
  return isDefinition(object) ? withCondition(object, finding, now) : object;
}

/** `namesInUse` is what other definitions of the group hold (`NamingConditionController`). */
export function withNames(definition: Definition, others: readonly Definition[], now: number): Definition {
  const { names } = definition.spec;
  const taken = { plain: new Set<string>(), kinds: new Set<string>() };
  for (const { status } of others) {
    const {
      plural,
      singular,
      shortNames = [],
      kind,
      listKind,
    } = status?.acceptedNames ?? { plural: "", kind: "" };
    for (const name of [plural, singular ?? "", ...shortNames]) if (name !== "") taken.plain.add(name);
    for (const name of [kind, listKind ?? ""]) if (name !== "") taken.kinds.add(name);
  }
  const accepted = { ...(definition.status?.acceptedNames ?? { plural: "", kind: "" }) };
  const conflict = takeNames(names, accepted, taken);
  const finding: Finding =
    conflict === undefined
      ? { type: "NamesAccepted", status: "True", reason: "NoConflicts", message: "no conflicts found" }
      : { type: "NamesAccepted", status: "False", ...conflict };
  const named: Definition = { ...definition, status: { ...definition.status, acceptedNames: accepted } };
  return withEstablished(withCondition(named, finding, now), now);
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

interface Taken {
  readonly plain: ReadonlySet<string>;
  readonly kinds: ReadonlySet<string>;
}

/** Each part of the names that is free becomes an accepted one; gives why another is not. */
function takeNames(
  names: DefinitionNames,
  accepted: Mutable<DefinitionNames>,
  { plain, kinds }: Taken,
): Pick<Finding, "reason" | "message"> | undefined {
  const inUse = (name: string) => `${JSON.stringify(name)} is already in use`;
  const conflicts: { reason: string; message: string }[] = [];
  const { plural, singular = "", shortNames, kind, listKind = "", categories } = names;
  if (plain.has(plural)) conflicts.push({ reason: "PluralConflict", message: inUse(plural) });
  else accepted.plural = plural;
  if (plain.has(singular)) conflicts.push({ reason: "SingularConflict", message: inUse(singular) });
  else if (singular !== "") accepted.singular = singular;
  const short = (shortNames ?? []).filter((name) => plain.has(name));
  if (short.length > 0)
    conflicts.push({ reason: "ShortNamesConflict", message: short.map(inUse).join(", ") });
  else if (shortNames !== undefined) accepted.shortNames = shortNames;
  else delete accepted.shortNames;
  if (kinds.has(kind)) conflicts.push({ reason: "KindConflict", message: inUse(kind) });
  else accepted.kind = kind;
  if (kinds.has(listKind)) conflicts.push({ reason: "ListKindConflict", message: inUse(listKind) });
  else if (listKind !== "") accepted.listKind = listKind;
  if (categories === undefined) delete accepted.categories;
  else accepted.categories = categories;
  return conflicts.at(-1);
}

/** Once established, a definition stays so, whatever becomes of its names. */
function withEstablished(definition: Definition, now: number): Definition {
  if (isTrue(definition, "Established")) return definition;
  const finding: Finding = isTrue(definition, "NamesAccepted")
    ? {
        type: "Established",
        status: "True",
        reason: "InitialNamesAccepted",
        message: "the initial names have been accepted",
      }
    : { type: "Established", status: "False", reason: "NotAccepted", message: "not all names are accepted" };
  return withCondition(definition, finding, now);
}

/** A version that objects are or were stored in stays on the list (`PrepareForCreate`, `PrepareForUpdate`). */
export function withStoredVersion(definition: Definition): Definition {
  const version = definition.spec.versions.find(({ storage }) => storage);
  const before = definition.status?.storedVersions ?? [];
  if (version === undefined || before.includes(version.name)) return definition;
  return { ...definition, status: { ...definition.status, storedVersions: [...before, version.name] } };
}
