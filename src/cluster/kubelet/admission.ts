/** Pods that this node does not take, and what it says of them (kubelet HandlePodAdditions, rejectPod). */
import { asPod, isFinished, type StoredPod } from "../../k8s/pod.ts";
import { takenHostPort } from "../../k8s/host-ports.ts";
import { forbiddenSysctl } from "../../k8s/sysctls.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { overcommitments } from "./overcommit.ts";
import { podEvent } from "./pod-events.ts";
import type { PodState } from "./pod-state.ts";

interface Rejection {
  readonly reason: string;
  readonly message: string;
}

/** True when the pod was refused: its termination has then begun. One that has been let in stays in. */
export function rejectPod(context: KubeletContext, state: PodState): boolean {
  if (state.isAdmitted) return false;
  const rejection = whyRejected(state.pod, () => podsBeside(context, state.pod));
  state.isAdmitted = rejection === undefined;
  if (rejection === undefined) {
    warnOfOvercommitment(context, state.pod);
    return false;
  }
  const { reason, message } = rejection;
  podEvent(context.recorder, state.pod, { type: "Warning", reason, message });
  const status = { phase: "Failed", reason, message: `Pod was rejected: ${message}` } as const;
  state.beginTermination(0, { kind: "rejected", status }, context.clock.monotonic());
  return true;
}

/** `others` are the pods that run on the node. */
export function whyRejected(pod: StoredPod, others: () => readonly StoredPod[]): Rejection | undefined {
  const os = pod.spec.os?.name ?? "linux";
  if (os !== "linux") {
    const message = "Failed to admit pod as the OS field doesn't match node OS";
    return { reason: "PodOSNotSupported", message };
  }
  const sysctl = forbiddenSysctl(pod.spec);
  if (sysctl !== undefined) return { reason: "SysctlForbidden", message: sysctl };
  if (takenHostPort(pod.spec, () => others().map(({ spec }) => spec)) === undefined) return undefined;
  const message = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
  return { reason: "NodePorts", message };
}

function warnOfOvercommitment(context: KubeletContext, pod: StoredPod): void {
  const others = () => podsBeside(context, pod).map(({ spec }) => spec);
  for (const message of overcommitments(pod.spec, others, context.node.allocatable))
    podEvent(context.recorder, pod, { type: "Warning", reason: "InsufficientResources", message });
}

function podsBeside({ store, node }: KubeletContext, pod: StoredPod): StoredPod[] {
  return store
    .list("pods")
    .items.map(asPod)
    .filter((other) => {
      const { metadata, spec, status } = other;
      return (
        spec.nodeName === node.name &&
        !isFinished(other) &&
        metadata.uid !== pod.metadata.uid &&
        status?.startTime !== undefined
      );
    });
}
