/** Defaults of Services and of what stands around them (core, discovery and networking `v1/defaults.go`). */
import type { EndpointSlice, Service, ServiceSpec } from "../../../generated/kubernetes.ts";

const CLIENT_IP_SECONDS = 10_800;

interface Port {
  name?: string;
  protocol?: string;
}

interface Endpoints {
  subsets?: { ports?: Port[] }[];
}

interface NetworkPolicy {
  spec?: { ingress?: { ports?: Port[] }[]; egress?: { ports?: Port[] }[]; policyTypes?: string[] };
}

interface IngressClass {
  spec?: { parameters?: { scope?: string } };
}

function defaultService({ spec = {} }: Service): void {
  spec.sessionAffinity ??= "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "ClientIP") {
    ((spec.sessionAffinityConfig ??= {}).clientIP ??= {}).timeoutSeconds ??= CLIENT_IP_SECONDS;
  }
  spec.type ??= "ClusterIP";
  for (const port of spec.ports ?? []) {
    port.protocol ??= "TCP";
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === "")
      port.targetPort = port.port;
  }
  if (spec.type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
  defaultTrafficPolicy(spec);
}

function defaultTrafficPolicy(spec: ServiceSpec): void {
  const { type } = spec;
  const isOutside = type === "LoadBalancer" || type === "NodePort";
  if (isOutside || (type === "ClusterIP" && (spec.externalIPs ?? []).length > 0))
    spec.externalTrafficPolicy ??= "Cluster";
  if (isOutside || type === "ClusterIP") spec.internalTrafficPolicy ??= "Cluster";
}

function defaultEndpoints({ subsets }: Endpoints): void {
  for (const subset of subsets ?? []) for (const port of subset.ports ?? []) port.protocol ??= "TCP";
}

function defaultEndpointSlice({ ports }: EndpointSlice): void {
  for (const port of ports ?? []) {
    port.name ??= "";
    port.protocol ??= "TCP";
  }
}

function defaultNetworkPolicy({ spec }: NetworkPolicy): void {
  if (spec === undefined) return;
  for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
    for (const port of rule.ports ?? []) port.protocol ??= "TCP";
  }
  spec.policyTypes ??= (spec.egress ?? []).length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
}

function defaultIngressClass({ spec }: IngressClass): void {
  if (spec?.parameters !== undefined) spec.parameters.scope ??= "Cluster";
}

/** By `apiVersion kind`. */
export const defaultNetwork: Readonly<Record<string, (draft: Record<string, unknown>) => void>> = {
  "v1 Service": (draft) => {
    draft["spec"] ??= {};
    defaultService(draft);
  },
  "v1 Endpoints": defaultEndpoints,
  "discovery.k8s.io/v1 EndpointSlice": (draft) => defaultEndpointSlice(draft as unknown as EndpointSlice),
  "networking.k8s.io/v1 NetworkPolicy": defaultNetworkPolicy,
  "networking.k8s.io/v1 IngressClass": defaultIngressClass,
};
