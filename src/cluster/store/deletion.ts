/**
 * What a DELETE does, as a pure decision: `rest.BeforeDelete`, `generic/registry.Store.Delete`, the pods' `CheckGracefulDelete`
 * and the namespaces' own `Delete`. deletionTimestamp is the moment at which the grace period ends.
 */
import { DEFINITIONS } from "../../k8s/custom/definition.ts";
import { CLEANUP_FINALIZER, DELETION_PENDING, withTerminating } from "../../k8s/custom/definition-status.ts";
import type { GroupResource, KubeObject, ObjectMeta } from "../../k8s/object.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import { conflict, forbidden } from "./api-errors.ts";
import type { Subject } from "./object-rules.ts";
import { namespaceFinalizers, specOf } from "./resource-rules.ts";
import type { DeleteOptions } from "./store.ts";

/** The garbage collector empties what holds these, and then takes them off. */
export const FOREGROUND_FINALIZER = "foregroundDeletion";
export const ORPHAN_FINALIZER = "orphan";

const IMMORTAL_NAMESPACES: ReadonlySet<string> = new Set(["default", "kube-system", "kube-public"]);

export interface Deletion {
  /** `mark`: the object is written and waits; `remove`: it goes now; `keep`: it was on its way, nothing changes. */
  readonly action: "mark" | "remove" | "keep";
  readonly object: KubeObject;
}

interface DeletionRequest extends Subject {
  readonly current: KubeObject;
  readonly options: DeleteOptions;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export function decideDeletion(request: DeletionRequest): Deletion {
  const { resource, current } = request;
  if (resource === "namespaces") refuseImmortal(resource, current);
  checkPreconditions(request);
  if (resource === "namespaces") {
    if (current.metadata.deletionTimestamp === undefined) return beginNamespaceDeletion(request);
    if (namespaceFinalizers(current).length > 0) return { action: "keep", object: current };
  }
  if (resource === DEFINITIONS && current.metadata.deletionTimestamp === undefined)
    return beginDefinitionDeletion(request);
  const grace = resource === "pods" ? gracePeriod(request) : undefined;
  if (grace === "pending") return { action: "keep", object: current };
  const finalizers = finalizersFor(request);
  if (grace === undefined) {
    if (finalizers.length === 0) return { action: "remove", object: current };
    return { action: "mark", object: withMetadata(current, { ...markedNow(request), finalizers }) };
  }
  const action = finalizers.length > 0 || grace.deletionGracePeriodSeconds > 0 ? "mark" : "remove";
  return { action, object: withMetadata(current, { ...grace, finalizers }) };
}

/** Whether an update that leaves no finalizer behind is the end of the object (`ShouldDeleteDuringUpdate`). */
export function endsDeletion({ resource }: Subject, before: KubeObject, after: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = before.metadata;
  if (deletionTimestamp === undefined || (deletionGracePeriodSeconds ?? 0) !== 0) return false;
  if ((after.metadata.finalizers ?? []).length > 0) return false;
  return resource !== "namespaces" || namespaceFinalizers(after).length === 0;
}

function refuseImmortal(resource: GroupResource, { metadata }: KubeObject): void {
  const name = metadata.name ?? "";
  if (IMMORTAL_NAMESPACES.has(name)) {
    throw forbidden(resource, name, { why: "this namespace may not be deleted" });
  }
}

/** The real server names the kind here where everything else names the resource. */
function checkPreconditions({ description, current, options }: DeletionRequest): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  const { metadata } = current;
  const kind = description.group === "" ? description.kind : `${description.kind}.${description.group}`;
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid ?? ""})`;
    throw conflict(
      kind,
      metadata.name ?? "",
      `${why}. The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const record = metadata.resourceVersion ?? "";
    const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${record})`;
    throw conflict(kind, metadata.name ?? "", `${why}. The object might have been modified`);
  }
}

interface Grace {
  readonly deletionTimestamp: string;
  readonly deletionGracePeriodSeconds: number;
  readonly generation?: number;
}

/** Pods only. Undefined: no grace is left, the object may go; `pending`: this DELETE changes nothing. */
function gracePeriod({ current, options, now }: DeletionRequest): Grace | "pending" | undefined {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, generation = 0 } = current.metadata;
  const requested = notNegative(options.gracePeriodSeconds);
  if (deletionTimestamp === undefined) {
    const period = initialPeriod(current, requested);
    return {
      deletionTimestamp: formatTimestamp(now + period * 1_000),
      deletionGracePeriodSeconds: period,
      ...(generation > 0 ? { generation: generation + 1 } : {}),
    };
  }
  if (deletionGracePeriodSeconds === 0) return undefined;
  // A grace period that runs can only be shortened.
  if (requested === undefined || requested >= deletionGracePeriodSeconds) return "pending";
  const begun = Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1_000;
  return {
    deletionTimestamp: formatTimestamp(begun + requested * 1_000),
    deletionGracePeriodSeconds: requested,
  };
}

/** `podStrategy.CheckGracefulDelete`: nobody has to be waited for where no node runs the pod or the pod is through. */
function initialPeriod(pod: KubeObject, requested: number | undefined): number {
  const { nodeName, terminationGracePeriodSeconds: own } = specOf(pod);
  const phase = isJsonObject(pod["status"]) ? pod["status"]["phase"] : undefined;
  if (typeof nodeName !== "string" || nodeName === "") return 0;
  if (phase === "Succeeded" || phase === "Failed") return 0;
  return requested ?? notNegative(typeof own === "number" ? own : undefined) ?? 0;
}

/** "Negative values will be treated as the value `1s` on the delete path" (`rest.BeforeDelete`). */
function notNegative(seconds: number | undefined): number | undefined {
  return seconds !== undefined && seconds < 0 ? 1 : seconds;
}

/** `markAsDeleting`: for what has no grace period and waits for its finalizers. */
function markedNow({ current, now }: DeletionRequest): Partial<ObjectMeta> {
  const { deletionTimestamp, generation = 0 } = current.metadata;
  const isFirst = deletionTimestamp === undefined;
  return {
    deletionTimestamp:
      isFirst || Date.parse(deletionTimestamp) > now ? formatTimestamp(now) : deletionTimestamp,
    deletionGracePeriodSeconds: 0,
    ...(isFirst && generation > 0 ? { generation: generation + 1 } : {}),
  };
}

/** `deletionFinalizersForGarbageCollection`: the option decides, else what the object carries already. */
function finalizersFor({ resource, current, options }: DeletionRequest): readonly string[] {
  const finalizers = current.metadata.finalizers ?? [];
  const others = finalizers.filter((item) => item !== FOREGROUND_FINALIZER && item !== ORPHAN_FINALIZER);
  // Nothing may own or be owned by Events: the collector does not watch them.
  if (resource === "events" || resource === "events.events.k8s.io") return others;
  const { propagationPolicy } = options;
  if (propagationPolicy === undefined) return finalizers;
  if (propagationPolicy === "Background") return others;
  return [...others, propagationPolicy === "Orphan" ? ORPHAN_FINALIZER : FOREGROUND_FINALIZER];
}

/** Its objects go first; the finalizer keeps their definition until then (apiextensions-apiserver `registry/customresourcedefinition`). */
function beginDefinitionDeletion(request: DeletionRequest): Deletion {
  const { current, now } = request;
  const finalizers = new Set([...finalizersFor(request), CLEANUP_FINALIZER]);
  const marked = withMetadata(current, { ...markedNow(request), finalizers: [...finalizers] });
  return { action: "mark", object: withTerminating(marked, DELETION_PENDING, now) };
}

/** The first DELETE of a namespace turns its phase; the namespace controller does the rest. */
function beginNamespaceDeletion(request: DeletionRequest): Deletion {
  const { current, now } = request;
  const marked = withMetadata(current, {
    deletionTimestamp: formatTimestamp(now),
    finalizers: finalizersFor(request),
  });
  const status = isJsonObject(current["status"]) ? current["status"] : {};
  return { action: "mark", object: { ...marked, status: { ...status, phase: "Terminating" } } };
}

function withMetadata(
  object: KubeObject,
  {
    finalizers,
    ...changes
  }: Omit<Partial<ObjectMeta>, "finalizers"> & { readonly finalizers: readonly string[] },
): KubeObject {
  const { finalizers: _, ...metadata } = object.metadata;
  const list = finalizers.length === 0 ? {} : { finalizers: [...finalizers] };
  return { ...object, metadata: { ...metadata, ...changes, ...list } };
}
