/** What every write does to an object, whatever its kind: `apiserver/pkg/registry/rest` BeforeCreate and BeforeUpdate. */
import { forbidden, invalid, invalidObject, required, type FieldError } from "../../k8s/field-error.ts";
import type { GroupResource, KubeObject, ObjectMeta, ObjectName } from "../../k8s/object.ts";
import type { StatusError } from "../../k8s/status-error.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { badRequest, conflict, internalError, OPTIMISTIC_LOCK } from "./api-errors.ts";
import type { ResourceDescription } from "./resource-lookup.ts";
import {
  bumpsOnAnnotations,
  hasGeneration,
  keptStatus,
  prepareNamespaceUpdate,
  prepareNewNamespace,
  statusCarriesAnnotations,
} from "./resource-rules.ts";

export interface Subject {
  readonly resource: GroupResource;
  readonly description: ResourceDescription;
}

/** Never taken from a client's object. */
const SYSTEM_FIELDS = [
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "resourceVersion",
  "selfLink",
] as const satisfies readonly (keyof ObjectMeta)[];

/** The object as `create` stores it, but for the resourceVersion. Its name is given or has been generated. */
export function prepareCreate(
  subject: Subject,
  given: KubeObject,
  system: { readonly name: string; readonly uid: string; readonly now: number },
): KubeObject {
  const { description, resource } = subject;
  const { name, generateName, namespace } = given.metadata;
  if ((given.metadata.resourceVersion ?? "") !== "") {
    throw internalError("resourceVersion should not be set on objects to be created");
  }
  const errors: FieldError[] = [];
  if (system.name === "") {
    errors.push(required("metadata.name", "name or generateName is required"));
  } else {
    const field = (name ?? "") === "" ? "generateName" : "name";
    const why = pathSegmentProblem(system.name);
    if (why !== undefined) {
      errors.push(invalid(`metadata.${field}`, field === "name" ? system.name : generateName, why));
    }
  }
  if (description.namespaced && (namespace ?? "") === "") errors.push(required("metadata.namespace"));
  if (errors.length > 0) throw invalidMeta(subject, system.name, errors);
  const created: KubeObject = {
    ...given,
    metadata: {
      ...withoutSystemFields(given.metadata, description),
      name: system.name,
      uid: system.uid,
      creationTimestamp: formatTimestamp(system.now),
      ...(hasGeneration(resource, description) ? { generation: 1 } : {}),
    },
  };
  return resource === "namespaces" ? prepareNewNamespace(created) : created;
}

/** Names are path segments at least; what else they must be depends on the kind and is checked by the API. */
function pathSegmentProblem(name: string): string | undefined {
  if (name === "." || name === "..") return `may not be '${name}'`;
  if (name.includes("/")) return "may not contain '/'";
  return name.includes("%") ? "may not contain '%'" : undefined;
}

function withoutSystemFields(metadata: ObjectMeta, { namespaced }: ResourceDescription): ObjectMeta {
  const given = omit(metadata, SYSTEM_FIELDS);
  return namespaced ? given : omit(given, ["namespace"]);
}

function omit(metadata: ObjectMeta, fields: readonly (keyof ObjectMeta)[]): ObjectMeta {
  const dropped = new Set<string>(fields);
  return Object.fromEntries(Object.entries(metadata).filter(([field]) => !dropped.has(field)));
}

function pick(metadata: ObjectMeta, fields: readonly (keyof ObjectMeta)[]): ObjectMeta {
  const kept = new Set<string>(fields);
  return Object.fromEntries(Object.entries(metadata).filter(([field]) => kept.has(field)));
}

/** Which part of an object a write may change. */
export type Part = "status" | "finalize" | undefined;

export interface Update extends Subject {
  readonly at: ObjectName;
  readonly current: KubeObject;
  readonly next: KubeObject;
  readonly part: Part;
}

/** The object as `update` stores it, but for generation and resourceVersion, which are the current ones. */
export function prepareUpdate(update: Update): KubeObject {
  checkPreconditions(update);
  const { current, next, part, description } = update;
  if (part === "status") return withStatusOf(update);
  const metadata = prepareMetadata(update);
  const changed: KubeObject = { ...next, metadata };
  const keepsStatus = description.hasStatus;
  const updated: KubeObject = keepsStatus
    ? { ...changed, status: keptStatus(update.resource, changed, current) }
    : changed;
  if (update.resource !== "namespaces") return updated;
  return prepareNamespaceUpdate(updated, part === "finalize" ? undefined : current);
}

function withStatusOf({ resource, current, next }: Update): KubeObject {
  const { managedFields, annotations } = next.metadata;
  const metadata = {
    ...current.metadata,
    ...(managedFields === undefined ? {} : { managedFields }),
    ...(statusCarriesAnnotations(resource) && annotations !== undefined ? { annotations } : {}),
  };
  return { ...current, metadata, status: next["status"] };
}

/** The uid and resourceVersion that a client sends back say which object it means. */
function checkPreconditions({ resource, at, current, next }: Update): void {
  const { uid, resourceVersion } = next.metadata;
  if (isSet(uid) && uid !== current.metadata.uid) {
    const key = `/registry/${[resource.split(".")[0], at.namespace, at.name].filter(isSet).join("/")}`;
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid ?? ""}`;
    throw conflict(
      resource,
      at.name,
      `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`,
    );
  }
  if (
    isSet(resourceVersion) &&
    resourceVersion !== "0" &&
    resourceVersion !== current.metadata.resourceVersion
  ) {
    throw conflict(resource, at.name, OPTIMISTIC_LOCK);
  }
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}

function prepareMetadata(update: Update): ObjectMeta {
  const { at, current, next, description } = update;
  const old = current.metadata;
  const given = next.metadata;
  if (description.namespaced && isSet(given.namespace) && given.namespace !== at.namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  const errors: FieldError[] = [];
  if (isSet(given.name) && given.name !== old.name) {
    errors.push(invalid("metadata.name", given.name, "field is immutable"));
  }
  for (const field of ["deletionTimestamp", "deletionGracePeriodSeconds"] as const) {
    // What is already set is silently kept; setting it is what DELETE is for.
    if (old.deletionTimestamp === undefined && given[field] !== undefined) {
      errors.push(invalid(`metadata.${field}`, given[field], "field is immutable"));
    }
  }
  const added = (given.finalizers ?? []).filter((finalizer) => !(old.finalizers ?? []).includes(finalizer));
  if (old.deletionTimestamp !== undefined && added.length > 0) {
    errors.push(forbidden("metadata.finalizers", newFinalizers(added)));
  }
  if (errors.length > 0) throw invalidMeta(update, at.name, errors);
  return {
    ...withoutSystemFields(given, description),
    ...pick(old, ["name", "namespace", ...SYSTEM_FIELDS]),
  };
}

/** As Go prints the slice. */
function newFinalizers(added: readonly string[]): string {
  const list = added.toSorted().map((finalizer) => JSON.stringify(finalizer));
  const why = "no new finalizers can be added if the object is being deleted, found new finalizers";
  return `${why} []string{${list.join(", ")}}`;
}

function invalidMeta({ description }: Subject, name: string, errors: readonly FieldError[]): StatusError {
  return invalidObject({ group: description.group, kind: description.kind, name }, errors);
}

/** Both are frozen results of `frozenJson`, so that equal parts are the same value. */
export interface FrozenPair {
  readonly before: KubeObject;
  readonly after: KubeObject;
}

const NOT_DESIRED_STATE: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata", "status"]);

/** Whether the desired state differs, so that `metadata.generation` must grow. */
export function changesGeneration(
  { resource, description }: Subject,
  { before, after }: FrozenPair,
): boolean {
  if (!hasGeneration(resource, description)) return false;
  if (bumpsOnAnnotations(resource) && before.metadata.annotations !== after.metadata.annotations) return true;
  // Without the subresource, a custom resource's status is a field as any other.
  const isStatusDesired = description.isCustom === true && !description.hasStatus;
  return fieldsThatDiffer(before, after).some(
    (field) => !NOT_DESIRED_STATE.has(field) || (isStatusDesired && field === "status"),
  );
}

/** Field managers stamp every write; a write that changes nothing but the stamp is none (`IgnoreManagedFieldsTimestamps`). */
export function differsInStampsOnly({ before, after }: FrozenPair): boolean {
  if (fieldsThatDiffer(before, after).some((field) => field !== "metadata")) return false;
  const differing = fieldsThatDiffer(before.metadata, after.metadata);
  if (differing.some((field) => field !== "managedFields")) return false;
  return Bun.deepEquals(unstamped(before), unstamped(after), true);
}

function fieldsThatDiffer(before: object, after: object): string[] {
  const old = new Map<string, unknown>(Object.entries(before));
  const fresh = new Map<string, unknown>(Object.entries(after));
  return [...new Set([...old.keys(), ...fresh.keys()])].filter(
    (field) => old.get(field) !== fresh.get(field),
  );
}

function unstamped({ metadata }: KubeObject): readonly object[] | undefined {
  return metadata.managedFields?.map((entry) => Object.entries(entry).filter(([field]) => field !== "time"));
}
