/** Keeps the Endpoints object of every Service with a selector (kube-controller-manager's endpoints controller). */
import type { Service } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { placeOfKey } from "../../k8s/object-name.ts";
import { jsonEqual } from "../../k8s/patch/json.ts";
import { isHeadless } from "../../k8s/service-type.ts";
import type { ControllerParts } from "./controller.ts";
import { HEADLESS_LABEL } from "./endpoint-slices.ts";
import { hasOwnEndpoints } from "./endpoint-slices-desired.ts";
import { type Endpoints, type EndpointSubset, subsetsOf } from "./endpoints-subsets.ts";
import { followServicePods, podsOf } from "./endpoints-watch.ts";
import { createWorkQueue } from "./work-queue.ts";

/** Old lock objects; clients of their own keep them. */
export const LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader";
const MANAGED_BY = { "endpoints.kubernetes.io/managed-by": "endpoint-controller" };

/** Endpoints go with their Service, also those that were written by hand. */
export function startEndpointsController(parts: ControllerParts): () => void {
  const { store, clock } = parts;
  const queue = createWorkQueue(clock, (key) => keepEndpoints(parts, key));
  const add = (key: string) => queue.add(key);
  for (const { metadata } of store.list("endpoints").items)
    add(`${metadata.namespace ?? ""}/${metadata.name ?? ""}`);
  const unfollow = followServicePods(store, add);
  const query = { sendInitialEvents: false };
  const unfollowEndpoints = store.watch("endpoints", query, ({ type, object: { metadata } }) => {
    if (type === "DELETED") add(`${metadata.namespace ?? ""}/${metadata.name ?? ""}`);
  });
  return () => {
    unfollow();
    unfollowEndpoints();
    queue.stop();
  };
}

async function keepEndpoints({ store, create }: ControllerParts, key: string): Promise<void> {
  const at = placeOfKey(key);
  const service = store.get("services", at);
  const current = store.get("endpoints", at);
  if (service === undefined) {
    const isLock = current?.metadata.annotations?.[LEADER_ANNOTATION] !== undefined;
    if (current !== undefined && !isLock) store.delete("endpoints", at);
    return;
  }
  if (!hasOwnEndpoints(service)) return;
  const labels = labelsOf(service);
  const subsets = subsetsOf(service, podsOf(store, service));
  if (current === undefined) {
    if (service.metadata.deletionTimestamp !== undefined) return;
    await create("endpoints", {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { ...at, labels },
      ...(subsets.length > 0 && { subsets }),
    });
    return;
  }
  const isSame = jsonEqual((current as Endpoints).subsets ?? [], subsets);
  if (isSame && jsonEqual(current.metadata.labels ?? {}, labels)) return;
  store.update("endpoints", at, (now) =>
    withSubsets({ ...now, metadata: { ...now.metadata, labels } }, subsets),
  );
}

/** Without any, the field is not there. */
function withSubsets(object: KubeObject, subsets: readonly EndpointSubset[]): KubeObject {
  const { subsets: _old, ...rest } = object;
  return subsets.length === 0 ? rest : { ...rest, subsets };
}

function labelsOf(service: KubeObject): Record<string, string> {
  const { [HEADLESS_LABEL]: _, ...labels } = service.metadata.labels ?? {};
  const isBare = isHeadless((service as Service).spec ?? {});
  return { ...labels, ...MANAGED_BY, ...(isBare && { [HEADLESS_LABEL]: "" }) };
}
