/** Keeps the EndpointSlices of Services with a selector (kube-controller-manager's endpointslice controller). */
import type { ObjectMeta, Service } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { placeOfKey } from "../../k8s/object-name.ts";
import { checkDns1123Subdomain } from "../../k8s/names.ts";
import { ENDPOINT_SLICES, SERVICE_NAME_LABEL } from "../../k8s/service-routes.ts";
import { isHeadless } from "../../k8s/service-type.ts";
import { controllerReference, type ControllerParts } from "./controller.ts";
import { endpointGroups, familiesOf, hasOwnEndpoints } from "./endpoint-slices-desired.ts";
import { planSlices } from "./endpoint-slices-plan.ts";
import { MANAGED_BY_LABEL, slicesOf, writeSlices } from "./endpoint-slices-write.ts";
import { followServicePods, podsOf } from "./endpoints-watch.ts";
import { createWorkQueue } from "./work-queue.ts";

const MANAGER = "endpointslice-controller.k8s.io";
/** On everything that belongs to a Service without an address (core/v1 `IsHeadlessService`). */
export const HEADLESS_LABEL = "service.kubernetes.io/headless";
const OWN_LABELS: readonly string[] = [SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL];

/** Slices of a Service that is gone go with it, by the garbage collector. */
export function startEndpointSliceController(parts: ControllerParts): () => void {
  const { store, clock } = parts;
  const queue = createWorkQueue(clock, (key) => keepSlices(parts, key));
  const unfollow = followServicePods(store, (key) => queue.add(key));
  const unfollowSlices = store.watch(ENDPOINT_SLICES, {}, ({ object: { metadata } }) => {
    const { [SERVICE_NAME_LABEL]: name, [MANAGED_BY_LABEL]: manager } = metadata.labels ?? {};
    if (name !== undefined && manager === MANAGER) queue.add(`${metadata.namespace ?? ""}/${name}`);
  });
  return () => {
    unfollow();
    unfollowSlices();
    queue.stop();
  };
}

async function keepSlices(parts: ControllerParts, key: string): Promise<void> {
  const { store } = parts;
  const at = placeOfKey(key);
  const service = store.get("services", at);
  if (service === undefined || !hasOwnEndpoints(service)) return;
  const plan = planSlices({
    existing: slicesOf(store, { namespace: at.namespace, service: at.name, manager: MANAGER }),
    groups: endpointGroups(service, podsOf(store, service)),
    metadata: sliceMetadata(service),
    families: familiesOf(service),
  });
  const isGoing = service.metadata.deletionTimestamp !== undefined;
  await writeSlices(parts, at.namespace, isGoing ? { ...plan, create: [] } : plan);
}

function sliceMetadata(service: KubeObject): ObjectMeta {
  const { name = "", namespace = "", labels = {} } = service.metadata;
  const own = Object.entries(labels).filter(([label]) => !OWN_LABELS.includes(label));
  return {
    generateName: slicePrefix(name),
    namespace,
    labels: {
      ...Object.fromEntries(own),
      [SERVICE_NAME_LABEL]: name,
      [MANAGED_BY_LABEL]: MANAGER,
      ...(isHeadless((service as Service).spec ?? {}) && { [HEADLESS_LABEL]: "" }),
    },
    ownerReferences: [controllerReference(service)],
  };
}

/** The name of the Service and a dash, where that makes a name (`getEndpointSlicePrefix`). */
export function slicePrefix(service: string): string {
  return checkDns1123Subdomain(`${service}-x`).length === 0 ? `${service}-` : service;
}
