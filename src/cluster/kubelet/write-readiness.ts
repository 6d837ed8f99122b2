/** Tells of a probe's result while the pod's worker is busy, with an image or a hook (status_manager SetContainerReadiness). */
import type { ContainerStatus, PodStatus } from "../../../generated/kubernetes.ts";
import { containerURL } from "../../k8s/container-status.ts";
import { podConditions } from "../../k8s/pod-conditions.ts";
import type { PodPhase } from "../../k8s/pod-phase.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { asPod, type StoredPod } from "../../k8s/pod.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import type { PodState } from "./pod-state.ts";

/** Changes `started` and `ready` of instances that the status shows already, and what follows from them; nothing else. */
export function writeReadiness({ store, clock }: KubeletContext, state: PodState): void {
  if (state.isGone) return;
  const { namespace, name, uid } = state.pod.metadata;
  try {
    const change = (current: KubeObject): KubeObject => {
      const pod = asPod(current);
      if (pod.metadata.uid !== uid || pod.status === undefined) return current;
      return { ...current, status: withReadiness(pod, pod.status, { state, now: clock.now() }) };
    };
    const written = store.update("pods", { namespace, name }, change, { subresource: "status" });
    if (written.metadata.uid === uid) state.pod = asPod(written);
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === "NotFound")) throw error;
  }
}

function withReadiness(
  { spec, metadata }: StoredPod,
  status: PodStatus,
  { state, now }: { readonly state: PodState; readonly now: number },
): PodStatus {
  const probed = (one: ContainerStatus): ContainerStatus => {
    const current = state.containers.get(one.name)?.current;
    const isShown = current !== undefined && one.containerID === containerURL(current.id);
    const { startup, readiness } = state.probes.of(one.name);
    if (!isShown || one.state?.running === undefined || (startup ?? readiness) === undefined) return one;
    const started = startup ?? true;
    return { ...one, started, ready: started && (readiness ?? true) };
  };
  const initStatuses = (status.initContainerStatuses ?? []).map(probed);
  const statuses = (status.containerStatuses ?? []).map(probed);
  const conditions = status.conditions ?? [];
  return {
    ...status,
    ...(initStatuses.length === 0 ? {} : { initContainerStatuses: initStatuses }),
    containerStatuses: statuses,
    conditions: podConditions({
      spec,
      phase: phaseOf(status),
      initStatuses,
      statuses,
      current: conditions,
      hasSandbox: conditions.some((one) => one.type === "PodReadyToStartContainers" && one.status === "True"),
      generation: metadata.generation,
      now: formatTimestamp(now),
    }),
  };
}

/** It has been written by us. */
function phaseOf({ phase }: PodStatus): PodPhase {
  return phase === "Running" || phase === "Succeeded" || phase === "Failed" ? phase : "Pending";
}
