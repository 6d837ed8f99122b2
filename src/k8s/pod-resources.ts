/** What a pod asks for altogether, from the requests and limits of its containers (component-helpers PodRequests, PodLimits). */
import type { Container, PodSpec } from "../../generated/kubernetes.ts";
import { isSidecar } from "./pod.ts";
import { addQuantities, compareQuantities, type Quantity, quantityOf } from "./quantity.ts";

/** By resource name, such as `cpu`. */
export type ResourceAmounts = ReadonlyMap<string, Quantity>;

type Kind = "requests" | "limits";
type ResourceList = Readonly<Record<string, string>>;

/**
 * The most that containers of the pod use at one time: each init container runs beside the sidecars declared before it, the main
 * ones beside all sidecars. Resources of the pod itself outrank the sum; the overhead comes on top.
 */
export function podRequests(spec: PodSpec): ResourceAmounts {
  const amounts = new Map(containerAmounts(spec, "requests"));
  for (const [name, amount] of podLevel(spec, "requests")) amounts.set(name, amount);
  return sum(amounts, read(spec.overhead));
}

/** As `podRequests`; the overhead is added only to what is limited. */
export function podLimits(spec: PodSpec): ResourceAmounts {
  const amounts = new Map(containerAmounts(spec, "limits"));
  for (const [name, amount] of podLevel(spec, "limits")) amounts.set(name, amount);
  const overhead = [...read(spec.overhead)].filter(([name]) => (amounts.get(name)?.nanos ?? 0n) !== 0n);
  return sum(amounts, new Map(overhead));
}

/** Without what the pod itself asks for, and without overhead (AggregateContainerRequests). */
export function containerAmounts(spec: PodSpec, kind: Kind): ResourceAmounts {
  let sidecars: ResourceAmounts = new Map();
  let init: ResourceAmounts = new Map();
  for (const container of spec.initContainers ?? []) {
    const own = read(container.resources?.[kind]);
    if (isSidecar(container)) sidecars = sum(sidecars, own);
    init = most(init, isSidecar(container) ? sidecars : sum(sidecars, own));
  }
  const main = spec.containers.reduce<ResourceAmounts>(
    (total, { resources }) => sum(total, read(resources?.[kind])),
    new Map(),
  );
  return most(sum(sidecars, main), init);
}

/** `spec.resources` of a pod, as far as a pod as a whole can have them. */
export function podLevel(spec: PodSpec, kind: Kind): ResourceAmounts {
  const amounts = [...read(spec.resources?.[kind])];
  return new Map(
    amounts.filter(([name]) => name === "cpu" || name === "memory" || name.startsWith("hugepages-")),
  );
}

/** Every container, those of the start included, has this limit. */
export function allHaveLimit(
  { initContainers = [], containers }: PodSpec,
  resource: "cpu" | "memory",
): boolean {
  return [...initContainers, ...containers].every((container) => hasLimit(container, resource));
}

function hasLimit({ resources }: Container, resource: string): boolean {
  return (read(resources?.limits).get(resource)?.nanos ?? 0n) !== 0n;
}

function read(list: ResourceList | undefined): ResourceAmounts {
  return new Map(Object.entries(list ?? {}).map(([name, text]) => [name, quantityOf(text)]));
}

function sum(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  const total = new Map(a);
  for (const [name, amount] of b) {
    const before = total.get(name);
    total.set(name, before === undefined ? amount : addQuantities(before, amount));
  }
  return total;
}

function most(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  const result = new Map(a);
  for (const [name, amount] of b) {
    const before = result.get(name);
    if (before === undefined || compareQuantities(before, amount) < 0) result.set(name, amount);
  }
  return result;
}
