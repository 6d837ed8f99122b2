/** Which fields a Service of which type has (`pkg/api/service`, and the `needs...` of the Service strategy). */

export interface TypedService {
  readonly type?: string;
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  readonly externalIPs?: readonly string[];
  readonly externalTrafficPolicy?: string;
}

/** The value in place of an address that says: no address. */
export const NO_CLUSTER_IP = "None";

/** "None" counts as an address. */
export function needsClusterIp({ type }: TypedService): boolean {
  return type === "ClusterIP" || type === "NodePort" || type === "LoadBalancer";
}

export function needsNodePort({ type }: TypedService): boolean {
  return type === "NodePort" || type === "LoadBalancer";
}

export function needsHealthCheckNodePort({ type, externalTrafficPolicy }: TypedService): boolean {
  return type === "LoadBalancer" && externalTrafficPolicy === "Local";
}

export function isExternallyAccessible({ type, externalIPs = [] }: TypedService): boolean {
  return type === "NodePort" || type === "LoadBalancer" || (type === "ClusterIP" && externalIPs.length > 0);
}

/** `isHeadlessService`: asked for in the list of addresses, which the API keeps in step with the single one. */
export function isHeadless({ clusterIP, clusterIPs = [] }: TypedService): boolean {
  return clusterIP === NO_CLUSTER_IP || clusterIPs.includes(NO_CLUSTER_IP);
}
