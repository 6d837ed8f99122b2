/** What of a pod's specification is allowed and hardly meant, in the words of the real server (`pkg/api/pod/warnings.go`). */
import type { Container, ContainerPort, EnvVar, PodSpec } from "../../generated/kubernetes.ts";
import { isQuantity, parseQuantity, quantityOf } from "./quantity.ts";
import type { Unchecked } from "./validation/unchecked.ts";

/** Labels of nodes that have other names since long ago. */
const OLD_NODE_LABELS: ReadonlyMap<string, string> = new Map([
  ["beta.kubernetes.io/arch", 'deprecated since v1.14; use "kubernetes.io/arch" instead'],
  ["beta.kubernetes.io/os", 'deprecated since v1.14; use "kubernetes.io/os" instead'],
  [
    "failure-domain.beta.kubernetes.io/region",
    'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  ],
  [
    "failure-domain.beta.kubernetes.io/zone",
    'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  ],
  [
    "beta.kubernetes.io/instance-type",
    'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
  ],
]);
/** Of which there is no fraction. */
const BYTES = ["memory", "ephemeral-storage"];
const ONE = parseQuantity("1");

/** `path` is that of the specification, for example `spec.template.spec`. */
export function podSpecWarnings(spec: Unchecked<PodSpec>, path: string): string[] {
  const { initContainers = [], containers = [], nodeSelector = {}, terminationGracePeriodSeconds = 0 } = spec;
  const warnings = Object.keys(nodeSelector).flatMap((label) => {
    const why = OLD_NODE_LABELS.get(label);
    return why === undefined ? [] : [`${path}.nodeSelector[${label}]: ${why}`];
  });
  if (terminationGracePeriodSeconds < 0) {
    const why = "must be >= 0; negative values are invalid and will be treated as 1";
    warnings.push(`${path}.terminationGracePeriodSeconds: ${why}`);
  }
  const all = Object.entries({ initContainers, containers }).flatMap(([list, items]) =>
    items.map((container, index) => ({ container, at: `${path}.${list}[${index}]` })),
  );
  for (const { container, at } of all) warnings.push(...containerWarnings(container, at));
  return [...warnings, ...portNameWarnings(all)];
}

function containerWarnings(
  { env = [], ports = [], resources = {} }: Unchecked<Container>,
  path: string,
): string[] {
  const amounts = (["limits", "requests"] as const).flatMap((kind) =>
    BYTES.flatMap((name) => {
      const amount = resources[kind]?.[name];
      if (amount === undefined || !isFractional(amount)) return [];
      const why = `fractional byte value ${JSON.stringify(amount)} is invalid, must be an integer`;
      return [`${path}.resources.${kind}[${name}]: ${why}`];
    }),
  );
  return [...amounts, ...hiddenVariables(env, path), ...samePorts(ports, path)];
}

function isFractional(amount: string): boolean {
  return isQuantity(amount) && quantityOf(amount).nanos % ONE.nanos !== 0n;
}

/** A value that is made of the one before hides nothing. */
function hiddenVariables(env: readonly Unchecked<EnvVar>[], path: string): string[] {
  return env.flatMap(({ name = "", value = "" }, index) => {
    const isAgain = env.slice(0, index).some((before) => before.name === name);
    if (!isAgain || value.includes(`$(${name})`)) return [];
    const why = `hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`;
    return [`${path}.env[${index}]: ${why}`];
  });
}

type Port = Unchecked<ContainerPort>;

function samePorts(ports: readonly Port[], path: string): string[] {
  const key = ({ containerPort, hostPort = 0, hostIP = "", protocol = "TCP" }: Port) =>
    [containerPort, hostPort, hostIP, protocol].join();
  return ports.flatMap((port, index) => {
    const first = ports.findIndex((other) => key(other) === key(port));
    return first === index
      ? []
      : [`${path}.ports[${index}]: duplicate port definition with ${path}.ports[${first}]`];
  });
}

interface Placed {
  readonly container: Unchecked<Container>;
  readonly at: string;
}

/** Who looks for a port by its name finds the first. */
function portNameWarnings(containers: readonly Placed[]): string[] {
  const first = new Map<string, string>();
  return containers.flatMap(({ container: { ports = [] }, at }) =>
    ports.flatMap(({ name = "" }, index) => {
      const own = `${at}.ports[${index}]`;
      const other = first.get(name);
      if (name === "") return [];
      if (other === undefined) {
        first.set(name, own);
        return [];
      }
      const effect = `services and probes that select ports by name will use ${other}`;
      return [`${own}: duplicate port name ${JSON.stringify(name)} with ${other}, ${effect}`];
    }),
  );
}
