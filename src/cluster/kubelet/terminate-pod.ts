/** One pass over a pod that is ending: signals, then removal of everything it has on the node. */
import { rmSync } from "node:fs";
import { isFinished } from "../../k8s/pod.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { podLogFolder } from "./kubelet-context.ts";
import { closeHostPorts, volumeFacts } from "./prepare-sandbox.ts";
import type { PodState } from "./pod-state.ts";
import { abandonHooks, deadlineLeft, stopAll } from "./stop-container.ts";
import type { Pass, PassResult } from "./sync-pod.ts";
import { removeVolumes } from "./volumes/pod-volumes.ts";

/** SyncTerminatingPod and SyncTerminatedPod. */
export async function terminatePod(pass: Pass): Promise<PassResult> {
  const { context, state } = pass;
  const expiry = isCompleting(state) ? deadlineLeft(context, state) : undefined;
  const step = stopAll(pass);
  if (!step.isDone) {
    const wakes = [step.wakeInMs, expiry].filter((one) => typeof one === "number");
    return { again: false, ...(wakes.length === 0 ? {} : { wakeInMs: Math.min(...wakes) }) };
  }
  abandonHooks(state);
  closeHostPorts(state);
  const { sandbox } = state;
  if (state.termination?.cause.kind === "shutdown") {
    await sandbox?.destroy();
    state.isSandboxDead = true;
    state.isShutDown = true;
    return { again: false };
  }
  removeVolumes(volumeFacts(context, state), sandbox);
  await sandbox?.destroy();
  state.isTornDown = true;
  return { again: true };
}

/** Its sidecars still run: until they have ended, the pod's deadline can pass. */
function isCompleting({ termination, pod }: PodState): boolean {
  return termination?.cause.kind === "completed" && !isFinished(pod);
}

/** Takes a deleted pod out of the store, once nothing of it is left here. Its finalizers may keep it there. */
export function removeFromStore({ context, state }: Pass): void {
  const { namespace, name, uid } = state.pod.metadata;
  if (state.isGone || state.pod.metadata.deletionTimestamp === undefined) return;
  try {
    context.store.delete("pods", { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
  } catch (error) {
    if (!(error instanceof StatusError && ["NotFound", "Conflict"].includes(error.reason))) throw error;
  }
}

/** Logs live as long as the pod's object. */
export function removeLogs({ context, state }: { context: Pass["context"]; state: PodState }): void {
  rmSync(podLogFolder(context.folders, state.pod), { recursive: true, force: true });
}
