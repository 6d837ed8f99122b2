/** The subsets of an Endpoints object, which older clients read instead of slices (endpoints controller, `RepackSubsets`). */
import type {
  EndpointPort,
  ObjectMeta,
  ObjectReference,
  Pod,
  Service,
} from "../../../generated/kubernetes.ts";
import { isFinished, isPodReady } from "../../k8s/pod.ts";
import { isHeadless } from "../../k8s/service-type.ts";
import { familyOfIp } from "../../k8s/validation/service-addresses.ts";
import { endpointPorts, familiesOf, hostnameIn, podIps } from "./endpoint-slices-desired.ts";

/** `v1.Endpoints`. */
export interface Endpoints {
  readonly metadata?: ObjectMeta;
  readonly subsets?: readonly EndpointSubset[];
}

export interface EndpointSubset {
  readonly addresses?: readonly EndpointAddress[];
  readonly notReadyAddresses?: readonly EndpointAddress[];
  readonly ports?: readonly EndpointPort[];
}

export interface EndpointAddress {
  readonly ip: string;
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly targetRef?: ObjectReference;
}

interface Draft {
  readonly ready: EndpointAddress[];
  readonly notReady: EndpointAddress[];
  readonly ports: readonly EndpointPort[];
}

/** Pods on their way out are in it only if the Service publishes those that are not ready. */
export function subsetsOf(service: Service, pods: readonly Pod[]): EndpointSubset[] {
  const publishesAll = service.spec?.publishNotReadyAddresses === true;
  const [family] = familiesOf(service);
  const drafts = new Map<string, Draft>();
  for (const pod of pods) {
    const ip = podIps(pod).find((one) => familyOfIp(one) === family);
    const isGoing = pod.metadata?.deletionTimestamp !== undefined && !publishesAll;
    if (ip === undefined || isFinished(pod) || isGoing) continue;
    const ports = endpointPorts(service, pod).map(withoutEmptyName);
    if (ports.length === 0 && !isHeadless(service.spec ?? {})) continue;
    const key = JSON.stringify(ports);
    const draft = drafts.get(key) ?? { ready: [], notReady: [], ports };
    drafts.set(key, draft);
    (publishesAll || isPodReady(pod) ? draft.ready : draft.notReady).push(addressOf(service, pod, ip));
  }
  const sorted = [...drafts].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([, { ready, notReady, ports }]) => ({
    ...(ready.length > 0 && { addresses: sortedByIp(ready) }),
    ...(notReady.length > 0 && { notReadyAddresses: sortedByIp(notReady) }),
    ...(ports.length > 0 && { ports }),
  }));
}

/** Go leaves out an empty string here, and only here. */
function withoutEmptyName({ name = "", ...port }: EndpointPort): EndpointPort {
  return name === "" ? port : { name, ...port };
}

function addressOf(service: Service, pod: Pod, ip: string): EndpointAddress {
  const { name = "", namespace = "", uid = "" } = pod.metadata ?? {};
  const { nodeName } = pod.spec ?? {};
  const hostname = hostnameIn(service, pod);
  return {
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: { kind: "Pod", namespace, name, uid },
  };
}

function sortedByIp(addresses: readonly EndpointAddress[]): EndpointAddress[] {
  return addresses.toSorted((a, b) => (a.ip < b.ip ? -1 : 1));
}
