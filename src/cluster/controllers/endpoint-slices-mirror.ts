/** Mirrors hand-written Endpoints of Services without selector into slices (endpointslicemirroring controller). */
import type { Endpoint, EndpointPort, ObjectMeta } from "../../../generated/kubernetes.ts";
import { LAST_APPLIED } from "../../k8s/apply/last-applied.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { placeOfKey } from "../../k8s/object-name.ts";
import { ENDPOINT_SLICES, SERVICE_NAME_LABEL } from "../../k8s/service-routes.ts";
import { familyOfIp } from "../../k8s/validation/service-addresses.ts";
import { controllerReference, type ControllerParts } from "./controller.ts";
import { slicePrefix } from "./endpoint-slices.ts";
import { type EndpointGroup, groupKey, hasOwnEndpoints } from "./endpoint-slices-desired.ts";
import { planSlices } from "./endpoint-slices-plan.ts";
import { MANAGED_BY_LABEL, slicesOf, writeSlices } from "./endpoint-slices-write.ts";
import { LEADER_ANNOTATION } from "./endpoints.ts";
import type { EndpointAddress, Endpoints } from "./endpoints-subsets.ts";
import { createWorkQueue } from "./work-queue.ts";

const MANAGER = "endpointslicemirroring-controller.k8s.io";
const SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror";
/** Of no use, or not true, on a copy. */
const OWN_ANNOTATIONS: readonly string[] = [LAST_APPLIED, "endpoints.kubernetes.io/last-change-trigger-time"];

/** Mirrored slices belong to their Endpoints and go with them, by the garbage collector. */
export function startEndpointSliceMirror(parts: ControllerParts): () => void {
  const { store, clock } = parts;
  const queue = createWorkQueue(clock, (key) => mirror(parts, key));
  const add = ({ metadata }: KubeObject) => queue.add(`${metadata.namespace ?? ""}/${metadata.name ?? ""}`);
  const unfollow = [
    store.watch("services", {}, ({ object }) => add(object)),
    store.watch("endpoints", {}, ({ object }) => add(object)),
    store.watch(ENDPOINT_SLICES, {}, ({ object: { metadata } }) => {
      const { [SERVICE_NAME_LABEL]: name, [MANAGED_BY_LABEL]: manager } = metadata.labels ?? {};
      if (name !== undefined && manager === MANAGER) queue.add(`${metadata.namespace ?? ""}/${name}`);
    }),
  ];
  return () => {
    for (const stop of unfollow) stop();
    queue.stop();
  };
}

async function mirror(parts: ControllerParts, key: string): Promise<void> {
  const { store } = parts;
  const at = placeOfKey(key);
  const endpoints = store.get("endpoints", at);
  const service = store.get("services", at);
  const existing = slicesOf(store, { namespace: at.namespace, service: at.name, manager: MANAGER });
  const isMirrored =
    endpoints !== undefined &&
    service !== undefined &&
    isWrittenByHand(endpoints) &&
    !hasOwnEndpoints(service);
  const isGoing = endpoints?.metadata.deletionTimestamp !== undefined;
  const plan = planSlices({
    existing,
    groups: isMirrored && !isGoing ? mirroredGroups(endpoints) : [],
    metadata: isMirrored ? mirrorMetadata(endpoints) : {},
    families: [],
  });
  await writeSlices(parts, at.namespace, plan);
}

function isWrittenByHand({ metadata: { labels = {}, annotations = {} } }: KubeObject): boolean {
  return labels[SKIP_LABEL] !== "true" && annotations[LEADER_ANNOTATION] === undefined;
}

function mirrorMetadata(endpoints: KubeObject): ObjectMeta {
  const { name = "", namespace = "", labels = {}, annotations = {} } = endpoints.metadata;
  const copied = Object.entries(annotations).filter(([key]) => !OWN_ANNOTATIONS.includes(key));
  return {
    generateName: slicePrefix(name),
    namespace,
    labels: { ...labels, [SERVICE_NAME_LABEL]: name, [MANAGED_BY_LABEL]: MANAGER },
    ...(copied.length > 0 && { annotations: Object.fromEntries(copied) }),
    ownerReferences: [controllerReference(endpoints)],
  };
}

/** Ready ones first: an address that is in both lists counts as ready. */
function mirroredGroups({ subsets = [] }: Endpoints): EndpointGroup[] {
  const groups = new Map<string, { group: EndpointGroup; byKey: Map<string, Endpoint> }>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const named = ports.map(({ name = "", protocol = "TCP", ...port }): EndpointPort => ({
      name,
      protocol,
      ...port,
    }));
    const all = [
      ...addresses.map((address) => mirrored(address, true)),
      ...notReadyAddresses.map((address) => mirrored(address, false)),
    ];
    for (const endpoint of all) {
      const addressType = familyOfIp(endpoint.addresses[0] ?? "");
      const key = groupKey({ addressType, ports: named });
      const found = groups.get(key) ?? {
        group: { addressType, ports: named, endpoints: [] },
        byKey: new Map<string, Endpoint>(),
      };
      groups.set(key, found);
      const name = JSON.stringify([endpoint.addresses, endpoint.hostname, endpoint.targetRef?.name]);
      if (!found.byKey.has(name)) found.byKey.set(name, endpoint);
    }
  }
  return [...groups.values()].map(({ group, byKey }) => ({ ...group, endpoints: [...byKey.values()] }));
}

function mirrored({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}
