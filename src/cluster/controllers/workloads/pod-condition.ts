/** What controllers ask of a pod's state (`pkg/api/v1/pod`). */
import type { Pod } from "../../../../generated/kubernetes.ts";
import { isFinished } from "../../../k8s/pod.ts";

/** Neither finished nor on its way out: it counts as a replica (`IsPodActive`). */
export function isPodActive(pod: Pod): boolean {
  return !isFinished(pod) && pod.metadata?.deletionTimestamp === undefined;
}

/** Milliseconds until the pod counts as available, 0 when it does, `undefined` when it is not ready (`IsPodAvailable`). */
export function availableInMs(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  const since = readySince(pod);
  if (since === undefined) return undefined;
  return Math.max(0, since + minReadySeconds * 1000 - now);
}

/** Milliseconds since the epoch. */
export function readySince({ status }: Pod): number | undefined {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status !== "True") return undefined;
  return Date.parse(ready.lastTransitionTime ?? "") || 0;
}
