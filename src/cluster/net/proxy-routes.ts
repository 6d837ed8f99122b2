/** Where connections to a Service come in, from its addresses and those of the node and this machine. */
import type { ServiceRoute } from "../../k8s/service-routes.ts";
import type { ListenAddress, ProxyRoute } from "./service-proxy.ts";
import type { Address } from "./service-network.ts";

export interface ProxyPlaces {
  /** The node's address on the pod network. */
  readonly nodeIP: string;
  /** Addresses of this machine where node ports come in. */
  readonly machineIPs: readonly string[];
  /** False where the kernel carries what comes in on the node: to the cluster IP, and to the node port there. */
  readonly onNode: boolean;
}

/** `external`: where this machine has the port of the load balancer. Undefined for protocols that nobody relays (SCTP). */
export function proxyRoute(
  route: ServiceRoute,
  { nodeIP, machineIPs, onNode }: ProxyPlaces,
  external: readonly Address[] = [],
): ProxyRoute | undefined {
  const { service, protocol, clusterIP, port, nodePort, affinitySeconds, endpoints } = route;
  if (protocol === "SCTP") return undefined;
  const addresses: ListenAddress[] = [];
  if (onNode) addresses.push({ place: "node", ip: clusterIP, port });
  if (nodePort !== undefined) {
    if (onNode) addresses.push({ place: "node", ip: nodeIP, port: nodePort });
    for (const ip of machineIPs) addresses.push({ place: "machine", ip, port: nodePort });
  }
  for (const { ip, port: at } of external) addresses.push({ place: "machine", ip, port: at });
  return {
    // The API lets a port of each protocol have the same number, and names may change while the port stays.
    name: `${service}:${port}/${protocol}`,
    protocol,
    addresses,
    endpoints,
    ...(affinitySeconds !== undefined && { affinitySeconds }),
  };
}
