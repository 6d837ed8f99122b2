/** Whom the kernel ends first when the machine's memory runs out (kubelet qos.GetContainerOOMScoreAdjust). */
import type { Container, PodSpec } from "../../../generated/kubernetes.ts";
import { containerAmounts, podLevel } from "../../k8s/pod-resources.ts";
import { isCriticalPod, isSidecar } from "../../k8s/pod.ts";
import { podQosClass } from "../../k8s/qos.ts";
import { quantityOf, wholeValue } from "../../k8s/quantity.ts";

const GUARANTEED = -997;
const BEST_EFFORT = 1000;

/**
 * `oom_score_adj` of a container on a node with this much memory, bytes. The more of the memory a Burstable container has
 * requested, the safer it is; a sidecar is at least as safe as the least safe of the main containers.
 */
export function oomScoreAdj(spec: PodSpec, container: Container, nodeMemory: number): number {
  if (isCriticalPod(spec)) return GUARANTEED;
  const qosClass = podQosClass(spec);
  if (qosClass === "Guaranteed") return GUARANTEED;
  if (qosClass === "BestEffort") return BEST_EFFORT;
  const share = unclaimedShare(spec);
  const score = (request: number) => 1000 - Math.floor((1000 * (request + share)) / nodeMemory);
  let adjustment = score(memoryRequest(container));
  if (isSidecarOf(spec, container)) {
    const least = Math.min(...spec.containers.map(memoryRequest));
    adjustment = Math.min(adjustment, score(least));
  }
  return Math.min(BEST_EFFORT - 1, Math.max(1000 + GUARANTEED, adjustment));
}

/** What the pod requests beyond its containers belongs to each of them in equal parts (KEP-2837). */
function unclaimedShare(spec: PodSpec): number {
  const ofPod = podLevel(spec, "requests").get("memory");
  if (ofPod === undefined || ofPod.nanos === 0n) return 0;
  const claimed = containerAmounts(spec, "requests").get("memory");
  const unclaimed = wholeValue(ofPod) - (claimed === undefined ? 0 : wholeValue(claimed));
  return Math.floor(unclaimed / (spec.containers.length + (spec.initContainers?.length ?? 0)));
}

function memoryRequest({ resources }: Container): number {
  const request = resources?.requests?.["memory"];
  return request === undefined ? 0 : wholeValue(quantityOf(request));
}

function isSidecarOf({ initContainers = [] }: PodSpec, { name }: Container): boolean {
  return initContainers.some((container) => container.name === name && isSidecar(container));
}
