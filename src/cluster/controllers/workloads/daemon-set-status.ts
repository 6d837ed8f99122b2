/** What a DaemonSet's status says about its nodes (`updateDaemonSetStatus`, controller/daemon). */
import { isPodReady } from "../../../k8s/pod.ts";
import type { DaemonSetStatus } from "../../../../generated/kubernetes.ts";
import { type DaemonState, isAvailable, isUpdated } from "./daemon-set-plan.ts";

/** Of several pods on a node the oldest counts. */
export function daemonSetStatus(state: DaemonState, collisionCount: number): DaemonSetStatus {
  const wanted = state.nodes.filter(({ shouldRun }) => shouldRun);
  const pods = wanted.flatMap((node) => node.pods.slice(0, 1));
  const ready = pods.filter(isPodReady);
  const available = ready.filter((pod) => isAvailable(state, pod)).length;
  const { generation } = state.set.metadata;
  const { conditions } = state.set.status ?? {};
  const optional = {
    updatedNumberScheduled: pods.filter((pod) => isUpdated(state, pod)).length,
    numberAvailable: available,
    numberUnavailable: wanted.length - available,
    collisionCount,
  };
  return {
    currentNumberScheduled: pods.length,
    numberMisscheduled: state.nodes.filter((node) => !node.shouldRun && node.pods.length > 0).length,
    desiredNumberScheduled: wanted.length,
    numberReady: ready.length,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    // On the wire, a count of nothing is left out.
    ...Object.fromEntries(Object.entries(optional).filter(([, count]) => count > 0)),
    ...(conditions === undefined ? {} : { conditions }),
  };
}
