/** Writes a pod's status to the store when it differs. */
import type { KubeObject } from "../../k8s/object.ts";
import { asPod } from "../../k8s/pod.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { podStatus } from "./pod-status.ts";
import type { PodState } from "./pod-state.ts";

/** Keeps what others have written since, such as readiness gates. A pod that is gone is left alone. */
export function writeStatus({ store, sandbox, clock }: KubeletContext, state: PodState): void {
  if (state.isGone) return;
  const { namespace, name, uid } = state.pod.metadata;
  try {
    const written = store.update(
      "pods",
      { namespace, name },
      (current: KubeObject) => {
        if (current.metadata.uid !== uid) return current;
        state.pod = asPod(current);
        return { ...current, status: podStatus(state, sandbox.nodeIP, clock.now()) };
      },
      { subresource: "status" },
    );
    if (written.metadata.uid === uid) state.pod = asPod(written);
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === "NotFound")) throw error;
  }
}
