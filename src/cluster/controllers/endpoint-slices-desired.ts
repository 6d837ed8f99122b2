/** Which endpoints a Service has by its pods (staging `endpointslice`: podToEndpoint, ShouldPodBeInEndpoints, FindPort). */
import type { Endpoint, EndpointPort, Pod, Service, ServicePort } from "../../../generated/kubernetes.ts";
import { isFinished, isPodReady, isSidecar } from "../../k8s/pod.ts";
import { isHeadless } from "../../k8s/service-type.ts";
import { familyOfIp } from "../../k8s/validation/service-addresses.ts";

/** Endpoints that agree in family and ports, and so may share a slice. */
export interface EndpointGroup {
  readonly addressType: string;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

/** Whether a controller writes endpoints for it: somebody else does for a Service without selector. */
export function hasOwnEndpoints({ spec = {} }: Service): boolean {
  return Object.keys(spec.selector ?? {}).length > 0 && spec.type !== "ExternalName";
}

export function selectsLabels({ spec }: Service, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(spec?.selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
}

export function familiesOf({ spec }: Service): readonly string[] {
  const families = spec?.ipFamilies ?? [];
  return families.length > 0 ? families : ["IPv4"];
}

/** `pods` are those that the selector picks; finished ones and those without an address are left out. */
export function endpointGroups(service: Service, pods: readonly Pod[]): EndpointGroup[] {
  const groups = new Map<string, EndpointGroup & { readonly endpoints: Endpoint[] }>();
  for (const addressType of familiesOf(service)) {
    for (const pod of pods) {
      const ips = podIps(pod).filter((ip) => familyOfIp(ip) === addressType);
      if (isFinished(pod) || ips.length === 0) continue;
      const ports = endpointPorts(service, pod);
      const key = groupKey({ addressType, ports });
      const group = groups.get(key) ?? { addressType, ports, endpoints: [] };
      group.endpoints.push(endpointOf(service, pod, ips));
      groups.set(key, group);
    }
  }
  return [...groups.values()];
}

export function groupKey({ addressType, ports }: Pick<EndpointGroup, "addressType" | "ports">): string {
  const parts = ports.map(({ name = "", protocol, port, appProtocol }) => [
    name,
    protocol,
    port,
    appProtocol,
  ]);
  return JSON.stringify([addressType, parts]);
}

export function podIps({ status }: Pod): string[] {
  const ips = (status?.podIPs ?? []).flatMap(({ ip }) => (ip === "" ? [] : [ip]));
  if (ips.length > 0) return ips;
  return status?.podIP === undefined || status.podIP === "" ? [] : [status.podIP];
}

function endpointOf(service: Service, pod: Pod, addresses: string[]): Endpoint {
  const { name = "", namespace = "", uid = "", deletionTimestamp } = pod.metadata ?? {};
  const serving = isPodReady(pod);
  const terminating = deletionTimestamp !== undefined;
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating);
  const { nodeName } = pod.spec ?? {};
  const hostname = hostnameIn(service, pod);
  return {
    addresses,
    conditions: { ready, serving, terminating },
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: { kind: "Pod", name, namespace, uid },
  };
}

/** A pod that names the Service as its subdomain is found by its own name, too (`ShouldSetHostname`). */
export function hostnameIn({ metadata }: Service, { spec }: Pod): string | undefined {
  const { hostname = "", subdomain } = spec ?? {};
  return hostname !== "" && subdomain === metadata?.name ? hostname : undefined;
}

/** Those that this pod has: a named target port may have another number, or none, in each pod. */
export function endpointPorts({ spec = {} }: Service, pod: Pod): EndpointPort[] {
  if (isHeadless(spec) && (spec.ports ?? []).length === 0) return [];
  return (spec.ports ?? []).flatMap((given) => {
    const port = findPort(pod, given);
    if (port === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = given;
    return [{ name, port, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
}

function findPort(
  { spec }: Pod,
  { port, targetPort = port, protocol = "TCP" }: ServicePort,
): number | undefined {
  if (typeof targetPort === "number") return targetPort;
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []).filter(isSidecar)];
  return containers
    .flatMap(({ ports = [] }) => ports)
    .find(({ name, protocol: spoken = "TCP" }) => name === targetPort && spoken === protocol)?.containerPort;
}
