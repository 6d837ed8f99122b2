/** Ends a pod that takes more of the node's disk than it may (kubelet eviction manager evictPod). */
import type { KubeletContext } from "./kubelet-context.ts";
import { podEvent } from "./pod-events.ts";
import type { PodState } from "./pod-state.ts";

const REASON = "Evicted";
/** `immediateEvictionGracePeriodSeconds`: the pod has broken its own limit. */
const GRACE_SECONDS = 1;

/**
 * The pod's termination has then begun: it ends as Failed, with this message. It is no target of disruption: it has broken
 * its own limit (localStorageEviction). Nothing happens to a pod that is being evicted already.
 */
export function evictPod(
  { clock, recorder }: Pick<KubeletContext, "clock" | "recorder">,
  state: PodState,
  message: string,
): void {
  if (state.termination?.cause.kind === "evicted") return;
  podEvent(recorder, state.pod, { type: "Warning", reason: REASON, message });
  state.beginTermination(
    GRACE_SECONDS,
    { kind: "evicted", status: { phase: "Failed", reason: REASON, message } },
    clock.monotonic(),
  );
}
