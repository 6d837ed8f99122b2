/** What a proxy has to do for a Service: where connections come in and which pods may get them (kube-proxy `pkg/proxy`). */
import type { Endpoint, EndpointSlice, Service, ServicePort } from "../../generated/kubernetes.ts";

export const ENDPOINT_SLICES = "endpointslices.discovery.k8s.io";

/** Names the Service of a slice (discovery/v1 `LabelServiceName`). */
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

/** What the API fills in for `ClientIP`, in seconds (core/v1 `DefaultClientIPServiceAffinitySeconds`). */
const DEFAULT_AFFINITY_SECONDS = 10_800;

/** One port of one Service. */
export interface ServiceRoute {
  /** `namespace/name`. */
  readonly service: string;
  /** Empty for the only port of a Service that does not name it. */
  readonly portName: string;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly clusterIP: string;
  /** Of the cluster IP and of the load balancer. */
  readonly port: number;
  /** On every address of the node. */
  readonly nodePort?: number;
  /** There for type LoadBalancer only; empty until somebody has written addresses into the status. */
  readonly loadBalancer?: { readonly ips: readonly string[] };
  /** How long a client's address stays with its endpoint after its last connection; absent for none. */
  readonly affinitySeconds?: number;
  /** Who may get a new connection, in a stable order. Empty: refuse it, at once. */
  readonly endpoints: readonly RouteEndpoint[];
}

export interface RouteEndpoint {
  readonly ip: string;
  readonly port: number;
}

/**
 * One route per port, for Services with an IPv4 address of their own; none for headless and ExternalName ones. `slices` may
 * hold those of other Services, which are left out. Ready endpoints get the traffic; where there are none, those that still
 * serve while they terminate (`CategorizeEndpoints`, KEP-1669).
 */
export function routesOf(service: Service, slices: readonly EndpointSlice[]): readonly ServiceRoute[] {
  const { metadata, spec = {}, status } = service;
  const { name = "", namespace = "" } = metadata ?? {};
  const { clusterIP = "", type = "ClusterIP" } = spec;
  if (clusterIP === "" || clusterIP === "None" || type === "ExternalName") return [];
  const own = slices.filter((slice) => slice.addressType === "IPv4" && belongsTo(slice, { name, namespace }));
  const ips = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip = "" }) => (ip === "" ? [] : [ip]));
  const affinitySeconds = affinityOf(service);
  return (spec.ports ?? []).map((port) => ({
    service: `${namespace}/${name}`,
    portName: port.name ?? "",
    protocol: protocolOf(port),
    clusterIP,
    port: port.port,
    ...((port.nodePort ?? 0) > 0 && { nodePort: port.nodePort }),
    ...(type === "LoadBalancer" && { loadBalancer: { ips } }),
    ...(affinitySeconds !== undefined && { affinitySeconds }),
    endpoints: endpointsFor(port, own),
  }));
}

function belongsTo(
  { metadata }: EndpointSlice,
  service: { readonly name: string; readonly namespace: string },
): boolean {
  const isNamed = metadata?.labels?.[SERVICE_NAME_LABEL] === service.name;
  return isNamed && (metadata?.namespace ?? "") === service.namespace;
}

function affinityOf({ spec }: Service): number | undefined {
  if (spec?.sessionAffinity !== "ClientIP") return undefined;
  return spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS;
}

function protocolOf({ protocol }: { readonly protocol?: string }): ServiceRoute["protocol"] {
  return protocol === "UDP" || protocol === "SCTP" ? protocol : "TCP";
}

/** Slices name their ports as the Service does; protocols of one name are told apart. */
function endpointsFor(port: ServicePort, slices: readonly EndpointSlice[]): RouteEndpoint[] {
  const found = slices.flatMap(({ ports, endpoints }) =>
    (ports ?? [])
      .filter(({ name = "" }) => name === (port.name ?? ""))
      .filter((candidate) => protocolOf(candidate) === protocolOf(port))
      .flatMap((target) => (endpoints ?? []).flatMap((endpoint) => targetsOf(endpoint, target.port))),
  );
  const ready = found.filter(({ isReady }) => isReady);
  const chosen = ready.length > 0 ? ready : found.filter(({ isDraining }) => isDraining);
  const byAddress = new Map(chosen.map(({ ip, port: at }) => [`${ip}:${at}`, { ip, port: at }]));
  return [...byAddress].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}

interface Target extends RouteEndpoint {
  readonly isReady: boolean;
  readonly isDraining: boolean;
}

const MOST_PORT = 65_535;

/**
 * Conditions that nobody has written count as good ones. Only the first address is used, as the API asks of proxies. A port that
 * is none is nowhere to go to: the API takes any number in a slice.
 */
function targetsOf({ addresses: [ip], conditions }: Endpoint, port: number | undefined): Target[] {
  if (ip === undefined || port === undefined || port < 1 || port > MOST_PORT) return [];
  const { ready = true, serving = true, terminating = false } = conditions ?? {};
  return [{ ip, port, isReady: ready, isDraining: serving && terminating }];
}
