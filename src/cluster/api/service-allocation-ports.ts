/** Gives the ports of one Service their node ports (`initNodePorts`, `updateNodePorts`). */
import type { ServicePort, ServiceSpec } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid } from "../../k8s/field-error.ts";
import { needsNodePort } from "../../k8s/service-type.ts";
import { internalError } from "../store/api-errors.ts";
import { nodePortsOf } from "./service-allocation-changes.ts";
import type { NumberPool } from "./service-allocation-pool.ts";

/** kube-apiserver's `--service-node-port-range`; 86 is upstream's share for those who ask by number. */
export const NODE_PORTS = { first: 30_000, last: 32_767, staticCount: 86 };
export const NODE_PORTS_TEXT = `${NODE_PORTS.first}-${NODE_PORTS.last}`;

/** Fills `nodePort` into the ports of `spec`, which is of a type that has them; answers which cannot be had. */
export function allocateNodePorts(
  spec: ServiceSpec,
  before: ServiceSpec | undefined,
  pool: NumberPool,
): FieldError[] {
  const { ports = [] } = spec;
  const isFilled = spec.type === "NodePort" || spec.allocateLoadBalancerNodePorts !== false;
  if (before !== undefined && needsNodePort(before)) return changeNodePorts(spec, { before, pool, isFilled });
  return ports.length === 0 ? [] : firstNodePorts(ports, { pool, isFilled });
}

interface Means {
  readonly pool: NumberPool;
  /** Whether a port that asks for no number gets one. */
  readonly isFilled: boolean;
}

/** One port over TCP and over UDP shares its node port. */
function firstNodePorts(ports: readonly ServicePort[], { pool, isFilled }: Means): FieldError[] {
  const shared = new Map<number, number>();
  for (const [index, port] of ports.entries()) {
    if (!isSet(port.nodePort) && !isFilled) continue;
    const known = shared.get(port.port);
    if (known !== undefined && !isSet(port.nodePort)) port.nodePort = known;
    if (known !== undefined && port.nodePort === known) continue;
    const wanted =
      known === undefined
        ? ports.find((other) => other.port === port.port && isSet(other.nodePort))?.nodePort
        : port.nodePort;
    if (wanted === undefined) port.nodePort = anyOf(pool);
    else {
      const refusal = claim(wanted, index, pool);
      if (refusal !== undefined) return [refusal];
      port.nodePort = wanted;
    }
    if (known === undefined) shared.set(port.port, port.nodePort);
  }
  return [];
}

function changeNodePorts(
  { ports = [] }: ServiceSpec,
  { before, pool, isFilled }: Means & { readonly before: ServiceSpec },
): FieldError[] {
  const own = new Set(nodePortsOf(before));
  for (const [index, port] of ports.entries()) {
    const { nodePort } = port;
    if (!isSet(nodePort) || own.has(nodePort)) continue;
    const refusal = claim(nodePort, index, pool);
    if (refusal !== undefined) return [refusal];
    own.add(nodePort);
  }
  for (const number of own) pool.claim(number);
  for (const port of ports) if (!isSet(port.nodePort) && isFilled) port.nodePort = anyOf(pool);
  return [];
}

function isSet(nodePort: number | undefined): nodePort is number {
  return nodePort !== undefined && nodePort !== 0;
}

function anyOf(pool: NumberPool): number {
  const found = pool.claimAny();
  if (found === undefined) throw internalError("failed to allocate a nodePort: range is full");
  return found;
}

function claim(wanted: number, index: number, pool: NumberPool): FieldError | undefined {
  const refusal = pool.claim(wanted);
  if (refusal === undefined) return undefined;
  const why =
    refusal === "taken"
      ? "provided port is already allocated"
      : `provided port is not in the valid range. The range of valid ports is ${NODE_PORTS_TEXT}`;
  return invalid(`spec.ports[${index}].nodePort`, wanted, why);
}
