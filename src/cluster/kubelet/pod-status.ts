/** The status of a pod as the kubelet writes it, from what the node knows (generateAPIPodStatus). */
import type { ContainerStatus, PodStatus } from "../../../generated/kubernetes.ts";
import { containerStatus, inStatusOrder, type ContainerFacts } from "../../k8s/container-status.ts";
import { podConditions } from "../../k8s/pod-conditions.ts";
import { podPhase, type PodPhase } from "../../k8s/pod-phase.ts";
import { isSidecar, type StoredPod } from "../../k8s/pod.ts";
import { podQosClass } from "../../k8s/qos.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import type { Container } from "../../../generated/kubernetes.ts";
import { isToBeStarted } from "./pod-actions.ts";
import type { ContainerRecord, PodState } from "./pod-state.ts";

const LOST_MESSAGE = "The container could not be located when the pod was terminated";

/** `now` in Unix milliseconds. */
export function podStatus(state: PodState, nodeIP: string, now: number): PodStatus {
  const { pod } = state;
  const { spec, metadata } = pod;
  const before = pod.status ?? {};
  const time = formatTimestamp(now);
  const { init, main } = inStatusOrder(spec);
  const initStatuses = init.map((container) => statusOf(state, container));
  const statuses = main.map((container) => statusOf(state, container));
  const phase = phaseOf(state, [...initStatuses, ...statuses]);
  const override = phase === "Failed" ? state.termination?.cause.status : undefined;
  const finalStatuses = state.isTornDown ? statuses.map((status) => settled(status, state)) : statuses;
  const hasSandbox = state.sandbox !== undefined && !state.isSandboxDead && !state.isTornDown;
  const ip = state.sandbox?.ip ?? before.podIP;
  return {
    ...before,
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    phase,
    ...(override === undefined ? {} : { reason: override.reason, message: override.message }),
    conditions: podConditions({
      spec,
      phase,
      initStatuses,
      statuses: finalStatuses,
      current: before.conditions ?? [],
      hasSandbox,
      generation: metadata.generation,
      now: time,
    }),
    hostIP: nodeIP,
    hostIPs: [{ ip: nodeIP }],
    ...(ip === undefined || ip === "" ? {} : { podIP: ip, podIPs: [{ ip }] }),
    startTime: before.startTime ?? time,
    ...(initStatuses.length === 0 ? {} : { initContainerStatuses: initStatuses }),
    containerStatuses: finalStatuses,
    qosClass: before.qosClass ?? podQosClass(spec),
  };
}

/** Terminal phases are shown once nothing runs any more, and never left (status_manager mergePodStatus). */
function phaseOf(state: PodState, statuses: readonly ContainerStatus[]): PodPhase {
  const before = state.pod.status?.phase;
  if (before === "Succeeded" || before === "Failed") return before;
  const mainNames = new Set(state.pod.spec.containers.map(({ name }) => name));
  const hasInitialized = statuses.some(
    ({ name, state: shown }) =>
      mainNames.has(name) && (shown?.running !== undefined || shown?.terminated !== undefined),
  );
  const phase = podPhase({
    spec: state.pod.spec,
    statuses,
    isTornDown: state.isTornDown,
    hasInitialized,
  });
  const isTerminal = phase === "Succeeded" || phase === "Failed";
  if (state.isTornDown) {
    if (state.termination?.cause.status !== undefined) return "Failed";
    return isTerminal ? phase : "Failed";
  }
  return isTerminal ? (before === "Running" ? "Running" : "Pending") : phase;
}

function statusOf(state: PodState, container: Container): ContainerStatus {
  const record = state.record(container.name);
  return containerStatus(state.pod.spec, container, {
    ...pick(record),
    ...(record.failure === undefined ? {} : { failure: record.failure }),
    isToBeStarted: isShownAsWaiting(state, container, record),
  });
}

function pick({ current, previous }: ContainerRecord): Pick<ContainerFacts, "current" | "previous"> {
  return {
    ...(current === undefined ? {} : { current }),
    ...(previous === undefined ? {} : { previous }),
  };
}

/** A plain init container that is done is not started again, although `Always` would restart it. */
function isShownAsWaiting(state: PodState, container: Container, record: ContainerRecord): boolean {
  if (state.termination !== undefined || state.pod.metadata.deletionTimestamp !== undefined) return false;
  const { current, isBeingReplaced } = record;
  const isPlainInit = state.pod.spec.initContainers?.includes(container) === true && !isSidecar(container);
  if (isPlainInit && current?.end?.exitCode === 0) return false;
  const observed = current === undefined ? undefined : { instance: current, isBeingReplaced };
  return isToBeStarted(state.pod.spec, container, observed);
}

/** What had run and is neither running nor known to have ended counts as lost (status_manager TerminatePod). */
function settled(status: ContainerStatus, state: PodState): ContainerStatus {
  const ended = status.state?.terminated ?? undefined;
  const hasRun = state.containers.get(status.name)?.current !== undefined;
  if (ended !== undefined || !hasRun) return status;
  const terminated = { exitCode: 137, reason: "ContainerStatusUnknown", message: LOST_MESSAGE };
  return { ...status, state: { terminated }, ready: false, started: false };
}

/** Whether the pod has come to its end before, so that only its removal is left. */
export function isFinished({ status }: StoredPod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}
