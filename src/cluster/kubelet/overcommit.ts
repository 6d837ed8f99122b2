/**
 * What pods request beyond the machine. A cluster keeps such a pod Pending, or its kubelet fails it (OutOfcpu, OutOfmemory). On a
 * machine that somebody works on, requests are written for other machines: the pod runs, and an event says what would happen.
 */
import type { PodSpec } from "../../../generated/kubernetes.ts";
import { podRequests } from "../../k8s/pod-resources.ts";
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  type Quantity,
  quantityOf,
} from "../../k8s/quantity.ts";

const NOTHING: Quantity = { nanos: 0n, format: "DecimalSI" };

/** One sentence per resource that is promised more than once; `others` are the pods that run already. */
export function overcommitments(
  spec: PodSpec,
  others: () => readonly PodSpec[],
  allocatable: Readonly<Record<string, string>>,
): readonly string[] {
  const asked = podRequests(spec);
  const wanted = (["cpu", "memory"] as const).filter((name) => (asked.get(name)?.nanos ?? 0n) > 0n);
  if (wanted.length === 0) return [];
  const beside = others().map(podRequests);
  return wanted.flatMap((name) => {
    const own = asked.get(name) ?? NOTHING;
    const taken = beside.reduce((sum, amounts) => addQuantities(sum, amounts.get(name) ?? NOTHING), NOTHING);
    const capacity = quantityOf(allocatable[name] ?? "0");
    if (compareQuantities(addQuantities(taken, own), capacity) <= 0) return [];
    const others = taken.nanos === 0n ? "" : `, and other pods ${formatQuantity(taken)}`;
    return [
      `Insufficient ${name}: the pod requests ${formatQuantity(own)}${others}, this machine has ${formatQuantity(capacity)}. ` +
        "A cluster would not start it here; it runs, without the promise",
    ];
  });
}
