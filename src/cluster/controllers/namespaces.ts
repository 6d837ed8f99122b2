/** Furnishes namespaces, and empties those that are deleted (`pkg/controller/namespace`, the service account controllers). */
import type { Clock } from "../../kernel/clock.ts";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { customResources, followCustomResources } from "../store/custom-resources.ts";
import { KUBERNETES_FINALIZER, namespaceFinalizers, specOf } from "../store/resource-rules.ts";
import type { Store, WatchEvent } from "../store/store.ts";
import type { ControlledResource } from "./garbage-collector.ts";
import { remainingConditions, type Remaining } from "./namespace-conditions.ts";
import { createWorkQueue } from "./work-queue.ts";

const SERVICE_ACCOUNT = "default";
const CA_CONFIG_MAP = "kube-root-ca.crt";

export interface NamespaceControllerParts {
  readonly store: Store;
  readonly clock: Clock;
  /** Every built-in resource that is stored; the cluster-scoped ones are passed over, custom ones join by themselves. */
  readonly resources: readonly ControlledResource[];
  /** PEM; pods check the API server's certificate with it. */
  readonly caCertificate: string;
}

/**
 * Keeps ServiceAccount `default` and ConfigMap `kube-root-ca.crt` in every namespace, and finishes the deletion of
 * namespaces, until the returned function is called.
 */
export function startNamespaceController({ store, clock, ...parts }: NamespaceControllerParts): () => void {
  const resources = parts.resources
    .filter(({ namespaced }) => namespaced)
    .map(({ groupResource }) => groupResource);
  const terminating = new Set<string>();
  const queue = createWorkQueue(clock, (name) => {
    const namespace = store.get("namespaces", { namespace: "", name });
    if (namespace?.metadata.deletionTimestamp === undefined) {
      terminating.delete(name);
      if (namespace !== undefined) furnish(store, name, parts.caCertificate);
      return;
    }
    terminating.add(name);
    const custom = customResources(store)
      .filter(({ namespaced }) => namespaced)
      .map(({ groupResource }) => groupResource);
    empty({ store, now: clock.now(), resources: [...resources, ...custom] }, namespace);
  });
  const watch = (resource: GroupResource) =>
    store.watch(resource, { sendInitialEvents: false }, (event) => {
      const { namespace = "" } = event.object.metadata;
      if (terminating.has(namespace) || isFurniture(resource, event)) queue.add(namespace);
    });
  const stops = resources.map(watch);
  const watched = new Map<GroupResource, () => void>();
  const unfollow = followCustomResources(store, {
    onNew: ({ groupResource }) => watched.set(groupResource, watch(groupResource)),
    onGone: ({ groupResource }) => watched.get(groupResource)?.(),
  });
  stops.push(store.watch("namespaces", {}, ({ object }) => queue.add(object.metadata.name ?? "")));
  return () => {
    queue.stop();
    unfollow();
    for (const stop of [...stops, ...watched.values()]) stop();
  };
}

function isFurniture(resource: GroupResource, { type, object }: WatchEvent): boolean {
  const { name } = object.metadata;
  if (resource === "serviceaccounts") return type === "DELETED" && name === SERVICE_ACCOUNT;
  return resource === "configmaps" && type !== "ADDED" && name === CA_CONFIG_MAP;
}

function furnish(store: Store, namespace: string, caCertificate: string): void {
  if (store.get("serviceaccounts", { namespace, name: SERVICE_ACCOUNT }) === undefined) {
    const metadata = { name: SERVICE_ACCOUNT, namespace };
    store.create("serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", metadata });
  }
  const data = { "ca.crt": caCertificate };
  const at = { namespace, name: CA_CONFIG_MAP };
  if (store.get("configmaps", at) === undefined) {
    store.create("configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata: at, data });
  } else {
    store.update("configmaps", at, (current) => ({ ...current, data }));
  }
}

interface Emptying {
  readonly store: Store;
  readonly now: number;
  readonly resources: readonly GroupResource[];
}

/** Pods first (KEP-5080), so that what they use while they end is still there; then everything else; then the namespace. */
function empty({ store, now, resources }: Emptying, { metadata }: KubeObject): void {
  const name = metadata.name ?? "";
  const others = resources.filter((resource) => resource !== "pods");
  const pods = deleteAll(store, name, ["pods"]);
  const remaining = pods.length > 0 ? pods : deleteAll(store, name, others);
  const at = { namespace: "", name };
  store.update("namespaces", at, (current) => remainingConditions(current, remaining, now), {
    subresource: "status",
  });
  if (remaining.length > 0) return;
  store.update(
    "namespaces",
    at,
    (current) => {
      const finalizers = namespaceFinalizers(current).filter((item) => item !== KUBERNETES_FINALIZER);
      return { ...current, spec: { ...specOf(current), finalizers } };
    },
    { subresource: "finalize" },
  );
}

/** Gives what is still there after every object has been told to go. */
function deleteAll(store: Store, namespace: string, resources: readonly GroupResource[]): Remaining[] {
  const remaining: Remaining[] = [];
  for (const resource of resources) {
    for (const { metadata } of store.list(resource, { namespace }).items) {
      if (metadata.deletionTimestamp !== undefined) continue;
      store.delete(resource, { namespace, name: metadata.name ?? "" }, { propagationPolicy: "Background" });
    }
    const { items } = store.list(resource, { namespace });
    if (items.length > 0) remaining.push({ resource, objects: items });
  }
  return remaining;
}
