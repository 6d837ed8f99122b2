/** Deletes what lost its owners, and empties owners that are deleted with a propagation policy (`pkg/controller/garbagecollector`). */
import type { OwnerReference } from "../../../generated/kubernetes.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { GroupResource, KubeObject, ObjectMeta } from "../../k8s/object.ts";
import { followCustomResources } from "../store/custom-resources.ts";
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from "../store/deletion.ts";
import type { ResourceDescription } from "../store/resource-lookup.ts";
import type { DeleteOptions, Store, WatchEvent } from "../store/store.ts";
import { OwnerGraph, ownersOf, type OwnedNode } from "./owner-graph.ts";
import { createWorkQueue } from "./work-queue.ts";

/** A stored resource with its key; the catalogue's entries fit. */
export interface ControlledResource extends ResourceDescription {
  readonly groupResource: GroupResource;
}

export interface GarbageCollectorParts {
  readonly store: Store;
  readonly clock: Clock;
  /** What is built in and may own or be owned; custom resources join by themselves. Owners of other kinds are taken to exist. */
  readonly resources: readonly ControlledResource[];
}

/** Watches until the returned function is called. */
export function startGarbageCollector({ store, clock, resources }: GarbageCollectorParts): () => void {
  const graph = new OwnerGraph();
  const kinds = new Map(
    resources.map((resource) => [`${resource.group}/${resource.kind}`, resource] as const),
  );
  const queue = createWorkQueue(clock, (uid) => {
    const node = graph.get(uid);
    if (node !== undefined) collect({ store, graph, kinds, enqueue: (next) => queue.add(next) }, node);
  });
  const watch = ({ groupResource }: ControlledResource) =>
    store.watch(groupResource, {}, (event) => {
      for (const uid of observe(graph, groupResource, event)) queue.add(uid);
    });
  const stops = resources.filter(({ groupResource }) => !isEvent(groupResource)).map(watch);
  const custom = new Map<GroupResource, () => void>();
  const unfollow = followCustomResources(store, {
    onNew(resource) {
      kinds.set(`${resource.group}/${resource.kind}`, resource);
      custom.set(resource.groupResource, watch(resource));
    },
    onGone({ groupResource, group, kind }) {
      kinds.delete(`${group}/${kind}`);
      custom.get(groupResource)?.();
      custom.delete(groupResource);
    },
  });
  return () => {
    queue.stop();
    unfollow();
    for (const stop of [...stops, ...custom.values()]) stop();
  };
}

/** Events own nothing and belong to nobody, and there are many. */
function isEvent(resource: GroupResource): boolean {
  return resource === "events" || resource === "events.events.k8s.io";
}

/** Takes an event into the graph; gives the uids that now have to be looked at. */
function observe(graph: OwnerGraph, resource: GroupResource, { type, object }: WatchEvent): string[] {
  const { uid } = object.metadata;
  if (type === "BOOKMARK" || uid === undefined) return [];
  const before = graph.get(uid)?.object;
  const owners = [...(before === undefined ? [] : ownersOf(before)), ...ownersOf(object)].map(
    ({ uid }) => uid,
  );
  const dependents = graph.dependentsOf(uid).map((node) => node.uid);
  if (type === "DELETED") {
    graph.remove(uid);
    return [...owners, ...dependents];
  }
  graph.put(resource, object);
  const isWaiting = isDeletingDependents(object) || isOrphaning(object);
  // An owner that waits is told when a dependent no longer blocks it; dependents are told that their owner waits.
  const waitingOwners = owners.filter((owner) => {
    const node = graph.get(owner);
    return node !== undefined && isDeletingDependents(node.object);
  });
  return [...waitingOwners, uid, ...(isWaiting ? dependents : [])];
}

interface Collector {
  readonly store: Store;
  readonly graph: OwnerGraph;
  /** By `group/Kind`. */
  readonly kinds: ReadonlyMap<string, ControlledResource>;
  readonly enqueue: (uid: string) => void;
}

/** `attemptToDeleteItem`. */
function collect(collector: Collector, node: OwnedNode): void {
  const current = collector.store.get(node.resource, node.at);
  if (current?.metadata.uid !== node.uid) return;
  if (current.metadata.deletionTimestamp !== undefined) {
    if (isDeletingDependents(current)) deleteDependents(collector, node);
    else if (isOrphaning(current)) orphanDependents(collector, node);
    return;
  }
  const references = ownersOf(current);
  if (references.length === 0) return;
  const sorted = classify(collector, node, references);
  if (sorted === undefined) return;
  const { solid, dangling, waiting } = sorted;
  if (solid.length > 0) {
    dropReferences(collector, node, new Set([...dangling, ...waiting].map(({ uid }) => uid)));
  } else if (waiting.length > 0 && collector.graph.dependentsOf(node.uid).length > 0) {
    unblockCycle(collector, node);
    remove(collector, node, "Foreground");
  } else {
    remove(collector, node, policyOf(current));
  }
}

interface SortedReferences {
  /** The owner is there. */
  readonly solid: readonly OwnerReference[];
  /** There is no such owner, or another one has its name now. */
  readonly dangling: readonly OwnerReference[];
  /** The owner is being deleted and waits for its dependents. */
  readonly waiting: readonly OwnerReference[];
}

/** Undefined when it cannot be told: a cluster-scoped object cannot be owned from within a namespace. */
function classify(
  { store, kinds }: Collector,
  { at }: OwnedNode,
  references: readonly OwnerReference[],
): SortedReferences | undefined {
  const solid: OwnerReference[] = [];
  const dangling: OwnerReference[] = [];
  const waiting: OwnerReference[] = [];
  for (const reference of references) {
    const kind = kinds.get(`${groupOf(reference.apiVersion)}/${reference.kind}`);
    if (kind === undefined) {
      solid.push(reference);
      continue;
    }
    if (kind.namespaced && at.namespace === "") return undefined;
    const namespace = kind.namespaced ? at.namespace : "";
    const owner = store.get(kind.groupResource, { namespace, name: reference.name });
    if (owner?.metadata.uid !== reference.uid) dangling.push(reference);
    else if (isDeletingDependents(owner)) waiting.push(reference);
    else solid.push(reference);
  }
  return { solid, dangling, waiting };
}

function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf("/");
  return slash === -1 ? "" : apiVersion.slice(0, slash);
}

/** `processDeletingDependentsItem`: the owner goes when nothing blocks it; the rest of its dependents then dangles. */
function deleteDependents(collector: Collector, node: OwnedNode): void {
  const blocking = collector.graph
    .dependentsOf(node.uid)
    .filter(({ object }) =>
      ownersOf(object).some((owner) => owner.uid === node.uid && owner.blockOwnerDeletion),
    );
  if (blocking.length === 0) return removeFinalizer(collector, node, FOREGROUND_FINALIZER);
  for (const dependent of blocking) {
    if (!isDeletingDependents(dependent.object)) collector.enqueue(dependent.uid);
  }
}

function orphanDependents(collector: Collector, node: OwnedNode): void {
  for (const dependent of collector.graph.dependentsOf(node.uid)) {
    dropReferences(collector, dependent, new Set([node.uid]));
  }
  removeFinalizer(collector, node, ORPHAN_FINALIZER);
}

/** Two owners in a circle would wait for each other for ever. */
function unblockCycle({ store, graph }: Collector, node: OwnedNode): void {
  if (!graph.dependentsOf(node.uid).some(({ object }) => isDeletingDependents(object))) return;
  store.update(node.resource, node.at, (current) =>
    withMetadata(current, {
      ownerReferences: ownersOf(current).map((owner) => ({ ...owner, blockOwnerDeletion: false })),
    }),
  );
}

function dropReferences(
  { store }: Collector,
  { resource, at, uid }: OwnedNode,
  owners: ReadonlySet<string>,
): void {
  if (owners.size === 0 || store.get(resource, at)?.metadata.uid !== uid) return;
  store.update(resource, at, (current) => {
    const kept = ownersOf(current).filter((owner) => !owners.has(owner.uid));
    return withMetadata(current, { ownerReferences: kept });
  });
}

function removeFinalizer({ store }: Collector, { resource, at }: OwnedNode, finalizer: string): void {
  store.update(resource, at, (current) => {
    const finalizers = (current.metadata.finalizers ?? []).filter((item) => item !== finalizer);
    return withMetadata(current, { finalizers });
  });
}

/** Empty lists are left out, as the real server leaves them out. */
function withMetadata(
  object: KubeObject,
  changes: Pick<ObjectMeta, "finalizers" | "ownerReferences">,
): KubeObject {
  const emptied = new Set(
    Object.entries(changes).flatMap(([field, list]) => (list.length === 0 ? [field] : [])),
  );
  const metadata = Object.entries({ ...object.metadata, ...changes }).filter(
    ([field]) => !emptied.has(field),
  );
  return { ...object, metadata: Object.fromEntries(metadata) };
}

function remove(
  { store }: Collector,
  { resource, at, uid }: OwnedNode,
  propagationPolicy: NonNullable<DeleteOptions["propagationPolicy"]>,
): void {
  store.delete(resource, at, { propagationPolicy, preconditions: { uid } });
}

/** What the object itself asks for. */
function policyOf({ metadata }: KubeObject): NonNullable<DeleteOptions["propagationPolicy"]> {
  if (metadata.finalizers?.includes(ORPHAN_FINALIZER)) return "Orphan";
  return metadata.finalizers?.includes(FOREGROUND_FINALIZER) ? "Foreground" : "Background";
}

function isDeletingDependents({ metadata }: KubeObject): boolean {
  return (
    metadata.deletionTimestamp !== undefined && metadata.finalizers?.includes(FOREGROUND_FINALIZER) === true
  );
}

function isOrphaning({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.finalizers?.includes(ORPHAN_FINALIZER) === true;
}
