/** What happens to a Service's allocated fields when it changes: kept, brought in step, dropped with its type (`strategy.go`). */
import type { ServiceSpec } from "../../../generated/kubernetes.ts";
import { jsonEqual } from "../../k8s/patch/json.ts";
import {
  isExternallyAccessible,
  needsClusterIp,
  needsHealthCheckNodePort,
  needsNodePort,
} from "../../k8s/service-type.ts";

/** Clients may leave out what was allocated to them (`patchAllocatedValues`). Changes `next`. */
export function keepAllocated(next: ServiceSpec, before: ServiceSpec): void {
  if (needsClusterIp(before) && needsClusterIp(next)) {
    if (isEmpty(next.clusterIP) && before.clusterIP !== undefined) next.clusterIP = before.clusterIP;
    if (isEmpty(next.clusterIPs) && next.clusterIP === before.clusterIP && before.clusterIPs !== undefined)
      next.clusterIPs = [...before.clusterIPs];
  }
  if (needsNodePort(before) && needsNodePort(next)) keepNodePorts(next, before);
  if (needsHealthCheckNodePort(before) && needsHealthCheckNodePort(next)) {
    const { healthCheckNodePort = 0 } = before;
    if (healthCheckNodePort !== 0) next.healthCheckNodePort ||= healthCheckNodePort;
  }
}

function isEmpty(value: string | readonly string[] | undefined): boolean {
  return value === undefined || value.length === 0;
}

function keepNodePorts(next: ServiceSpec, before: ServiceSpec): void {
  const wanted = new Set(nodePortsOf(next));
  const used = new Set(nodePortsOf(before).filter((port) => wanted.has(port)));
  const byName = new Map((before.ports ?? []).map(({ name = "", nodePort = 0 }) => [name, nodePort]));
  for (const port of next.ports ?? []) {
    const known = byName.get(port.name ?? "") ?? 0;
    if ((port.nodePort ?? 0) !== 0 || known === 0 || used.has(known)) continue;
    port.nodePort = known;
    used.add(known);
  }
}

/** Those that are set. */
export function nodePortsOf({ ports = [] }: ServiceSpec): number[] {
  return ports.flatMap(({ nodePort = 0 }) => (nodePort === 0 ? [] : [nodePort]));
}

/** A client that knows only one of the two fields means both (`normalizeClusterIPs`). Changes `next`. */
export function alignClusterIps(next: ServiceSpec, before: ServiceSpec | undefined): void {
  const { clusterIP = "" } = next;
  if (before === undefined) {
    if (clusterIP !== "" && isEmpty(next.clusterIPs)) next.clusterIPs = [clusterIP];
    return;
  }
  const old = before.clusterIPs ?? [];
  if (old.length > 0 && isEmpty(next.clusterIPs) && (before.clusterIP ?? "") === clusterIP)
    next.clusterIPs = [...old];
  if ((before.clusterIP ?? "") === clusterIP || !jsonEqual(old, next.clusterIPs ?? [])) return;
  if (clusterIP === "") delete next.clusterIPs;
  else next.clusterIPs = [clusterIP];
}

/**
 * Takes away what the new type does not have and the client has not touched, so that changing the type alone is enough
 * (`dropTypeDependentFields`). Changes `next`.
 */
export function dropForType(next: ServiceSpec, before: ServiceSpec): void {
  if (needsClusterIp(before) && !needsClusterIp(next)) dropAddresses(next, before);
  if (needsNodePort(before) && !needsNodePort(next) && sameNodePorts(next, before)) {
    for (const port of next.ports ?? []) delete port.nodePort;
  }
  if (needsHealthCheckNodePort(before) && !needsHealthCheckNodePort(next))
    dropSame(next, before, ["healthCheckNodePort"]);
  if (before.type === "LoadBalancer" && next.type !== "LoadBalancer")
    dropSame(next, before, ["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
  if (isExternallyAccessible(before) && !isExternallyAccessible(next))
    dropSame(next, before, ["externalTrafficPolicy"]);
}

function dropAddresses(next: ServiceSpec, before: ServiceSpec): void {
  const isSame = jsonEqual(next.clusterIPs ?? [], before.clusterIPs ?? []);
  if (isSame && (next.clusterIP ?? "") === (before.clusterIP ?? "")) {
    delete next.clusterIP;
    delete next.clusterIPs;
  }
  dropSame(next, before, ["ipFamilies", "ipFamilyPolicy"]);
}

function sameNodePorts(next: ServiceSpec, before: ServiceSpec): boolean {
  return jsonEqual(new Set(nodePortsOf(next)), new Set(nodePortsOf(before)));
}

function dropSame(next: ServiceSpec, before: ServiceSpec, fields: readonly (keyof ServiceSpec)[]): void {
  for (const field of fields) if (jsonEqual(next[field], before[field])) delete next[field];
}
