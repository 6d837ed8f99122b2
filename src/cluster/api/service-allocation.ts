/** Gives Services their addresses and node ports before they are stored (`pkg/registry/core/service/storage`). */
import type { Service, ServiceSpec } from "../../../generated/kubernetes.ts";
import { SERVICE_RANGE } from "../../k8s/cluster-network.ts";
import { type FieldError, invalid, invalidObject } from "../../k8s/field-error.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { isHeadless, needsHealthCheckNodePort, needsNodePort } from "../../k8s/service-type.ts";
import { formatIpv4, formatIpv4Range, parseIpv4, rangeSize } from "../../lib/ipv4.ts";
import { internalError } from "../store/api-errors.ts";
import type { Store } from "../store/store.ts";
import type { Admit } from "./api-context.ts";
import { alignClusterIps, dropForType, keepAllocated, nodePortsOf } from "./service-allocation-changes.ts";
import { fillFamilies } from "./service-allocation-families.ts";
import { NumberPool, type Pick, pickAny } from "./service-allocation-pool.ts";
import { allocateNodePorts, NODE_PORTS, NODE_PORTS_TEXT } from "./service-allocation-ports.ts";

/** Network and broadcast address are nobody's; 256 is upstream's share for those who ask by address. */
const SERVICE_IPS = {
  first: SERVICE_RANGE.base + 1,
  last: SERVICE_RANGE.base + rangeSize(SERVICE_RANGE) - 2,
  staticCount: 256,
};

/**
 * The admission step; the last one, since what is handed out depends on the final specification. What is taken is read from
 * the stored Services: nothing is to be released, and a dry run leaves no trace.
 */
export function allocateService(store: Store, pick: Pick = pickAny): Admit {
  return ({ info, object, before }) => {
    if (info.groupResource !== "services") return object;
    const { name = "", namespace = "" } = object.metadata;
    const others: Service[] = store
      .list("services")
      .items.filter(({ metadata }) => metadata.name !== name || metadata.namespace !== namespace);
    return { ...object, spec: allocate(object, { before: specOf(before), others, pick }) };
  };
}

interface Surroundings {
  readonly before: ServiceSpec | undefined;
  /** All Services but the one itself. */
  readonly others: readonly Service[];
  readonly pick: Pick;
}

function specOf(service: Service | undefined): ServiceSpec | undefined {
  return service?.spec;
}

function allocate(service: KubeObject, { before, others, pick }: Surroundings): ServiceSpec {
  const spec = structuredClone(specOf(service) ?? {});
  const refuse = refusalOf(service);
  if (before !== undefined) keepAllocated(spec, before);
  alignClusterIps(spec, before);
  refuse(fillFamilies(spec));
  const ips = new NumberPool(SERVICE_IPS, others.flatMap(takenIps), pick);
  refuse(allocateClusterIp(spec, before, ips));
  // Held until the change is stored, whatever becomes of it: a new node port must not be the one of the health checks.
  const own = healthCheckPortOf(before ?? {});
  const ports = new NumberPool(NODE_PORTS, [...others.flatMap(takenPorts), ...own], pick);
  if (needsNodePort(spec)) refuse(allocateNodePorts(spec, before, ports));
  allocateHealthCheckPort(spec, before, ports);
  if (before !== undefined) dropForType(spec, before);
  return spec;
}

function refusalOf({ metadata }: KubeObject): (errors: readonly FieldError[]) => void {
  return (errors) => {
    if (errors.length > 0)
      throw invalidObject({ group: "", kind: "Service", name: metadata.name ?? "" }, errors);
  };
}

function takenIps({ spec }: Service): number[] {
  return [...(spec?.clusterIPs ?? []), spec?.clusterIP ?? ""].flatMap((ip) => parseIpv4(ip) ?? []);
}

function takenPorts({ spec = {} }: Service): number[] {
  return [...nodePortsOf(spec), ...healthCheckPortOf(spec)];
}

function healthCheckPortOf({ healthCheckNodePort = 0 }: ServiceSpec): number[] {
  return healthCheckNodePort === 0 ? [] : [healthCheckNodePort];
}

/** Once a Service has an address it keeps it; that a client wants another one is for validation to say. */
function allocateClusterIp(
  spec: ServiceSpec,
  before: ServiceSpec | undefined,
  pool: NumberPool,
): FieldError[] {
  const isNew = before === undefined || before.type === "ExternalName";
  if (!isNew || spec.type === "ExternalName" || isHeadless(spec)) return [];
  const { clusterIPs = [] } = spec;
  const [wanted] = clusterIPs;
  if (wanted === undefined) {
    const found = pool.claimAny();
    if (found === undefined) throw internalError("failed to allocate a serviceIP: range is full");
    spec.clusterIP = formatIpv4(found);
    spec.clusterIPs = [spec.clusterIP];
    return [];
  }
  const refusal = pool.claim(parseIpv4(wanted) ?? -1);
  if (refusal === undefined) return [];
  const why =
    refusal === "taken"
      ? "provided IP is already allocated"
      : `the provided IP (${wanted}) is not in the valid range. The range of valid IPs is ${formatIpv4Range(SERVICE_RANGE)}`;
  return [invalid("spec.clusterIPs", clusterIPs, `failed to allocate IP ${wanted}: ${why}`)];
}

function allocateHealthCheckPort(spec: ServiceSpec, before: ServiceSpec | undefined, pool: NumberPool): void {
  const hadOne = before !== undefined && needsHealthCheckNodePort(before);
  if (!needsHealthCheckNodePort(spec) || hadOne) return;
  const { healthCheckNodePort: wanted = 0 } = spec;
  if (wanted === 0) {
    const found = pool.claimAny();
    if (found === undefined) throw internalError("failed to allocate a HealthCheck NodePort: range is full");
    spec.healthCheckNodePort = found;
    return;
  }
  const refusal = pool.claim(wanted);
  if (refusal === undefined) return;
  const why =
    refusal === "taken"
      ? "provided port is already allocated"
      : `provided port is not in the valid range. The range of valid ports is ${NODE_PORTS_TEXT}`;
  throw internalError(`failed to allocate requested HealthCheck NodePort ${wanted}: ${why}`);
}
