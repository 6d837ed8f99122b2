/** Quality-of-service class of a pod: what its resource requests and limits promise. */
import type { PodSpec, ResourceRequirements } from "../../generated/kubernetes.ts";
import { compareQuantities, quantityOf } from "./quantity.ts";

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

const COMPUTE_RESOURCES = ["cpu", "memory"] as const;

/** `ComputePodQOS`; resources of the pod itself, where it has some, decide alone. */
export function podQosClass(spec: PodSpec): QosClass {
  const all = spec.resources
    ? [spec.resources]
    : [...(spec.initContainers ?? []), ...(spec.containers ?? [])].map(({ resources = {} }) => resources);
  if (!all.some(({ limits, requests }) => asksForSome(limits) || asksForSome(requests))) return "BestEffort";
  return all.every(isGuaranteed) ? "Guaranteed" : "Burstable";
}

function asksForSome(list: ResourceRequirements["limits"]): boolean {
  return COMPUTE_RESOURCES.some((name) => amount(list?.[name]) !== undefined);
}

function isGuaranteed({ limits, requests }: ResourceRequirements): boolean {
  return COMPUTE_RESOURCES.every((name) => {
    const limit = amount(limits?.[name]);
    const request = amount(requests?.[name]) ?? limit;
    return limit !== undefined && request !== undefined && compareQuantities(limit, request) === 0;
  });
}

/** Zero is as good as nothing. */
function amount(text: string | undefined) {
  if (text === undefined) return undefined;
  const quantity = quantityOf(text);
  return quantity.nanos === 0n ? undefined : quantity;
}
