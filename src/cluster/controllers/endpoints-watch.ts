/** Tells which Services' endpoints may have changed: both controllers of endpoints listen to the same things. */
import type { Pod, Service } from "../../../generated/kubernetes.ts";
import { isFinished, isPodReady } from "../../k8s/pod.ts";
import { jsonEqual } from "../../k8s/patch/json.ts";
import type { Store } from "../store/store.ts";
import { podIps, selectsLabels } from "./endpoint-slices-desired.ts";

/** Calls `onService` with `namespace/name`, first for every Service that is there. */
export function followServicePods(store: Store, onService: (key: string) => void): () => void {
  const known = new Map<string, Pod>();
  const unfollowServices = store.watch("services", {}, ({ object: { metadata } }) => {
    onService(`${metadata.namespace ?? ""}/${metadata.name ?? ""}`);
  });
  const unfollowPods = store.watch("pods", {}, ({ type, object }) => {
    const pod: Pod = object;
    const key = `${object.metadata.namespace ?? ""}/${object.metadata.name ?? ""}`;
    const before = known.get(key);
    if (type === "DELETED") known.delete(key);
    else known.set(key, pod);
    if (type !== "DELETED" && before !== undefined && !differs(before, pod)) return;
    for (const service of servicesOf(store, before === undefined ? [pod] : [before, pod])) onService(service);
  });
  return () => {
    unfollowServices();
    unfollowPods();
  };
}

/** Whether anything changed that endpoints tell of (`podEndpointsChanged`). */
function differs(before: Pod, after: Pod): boolean {
  return !jsonEqual(factsOf(before), factsOf(after));
}

function factsOf(pod: Pod): unknown[] {
  const { uid, labels = {}, deletionTimestamp } = pod.metadata ?? {};
  const { nodeName, hostname, subdomain } = pod.spec ?? {};
  const isGoing = deletionTimestamp !== undefined;
  return [uid, labels, isGoing, isFinished(pod), isPodReady(pod), podIps(pod), nodeName, hostname, subdomain];
}

function servicesOf(store: Store, pods: readonly Pod[]): string[] {
  const namespace = pods[0]?.metadata?.namespace ?? "";
  const services: readonly Service[] = store.list("services", { namespace }).items;
  return services
    .filter((service) => pods.some(({ metadata }) => selectsLabels(service, metadata?.labels ?? {})))
    .map(({ metadata }) => `${namespace}/${metadata?.name ?? ""}`);
}

/** The pods that a Service selects. */
export function podsOf(store: Store, service: Service): Pod[] {
  const namespace = service.metadata?.namespace ?? "";
  const { items } = store.list("pods", {
    namespace,
    matches: ({ metadata }) => selectsLabels(service, metadata.labels ?? {}),
  });
  return [...items];
}
