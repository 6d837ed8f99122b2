/** The status of a pod as the kubelet writes it, from what the node knows (generateAPIPodStatus). */
import type { ContainerStatus, PodStatus } from "../../../generated/kubernetes.ts";
import { containerStatus, inStatusOrder, type ContainerFacts } from "../../k8s/container-status.ts";
import { podConditions } from "../../k8s/pod-conditions.ts";
import { podPhase, type PodPhase } from "../../k8s/pod-phase.ts";
import { isSidecar } from "../../k8s/pod.ts";
import { settledStatuses } from "../../k8s/settled-statuses.ts";
import { podQosClass } from "../../k8s/qos.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import type { Container } from "../../../generated/kubernetes.ts";
import { isToBeStarted } from "./pod-actions.ts";
import type { ContainerRecord, PodState } from "./pod-state.ts";

/** A plain init container that nothing is left of, in a pod that is past it (convertToAPIContainerStatuses). */
const PASSED = {
  exitCode: 0,
  reason: "Completed",
  message:
    "Unable to get init container status from container runtime and pod has been initialized, treat it as exit normally",
};

/** `now` in Unix milliseconds. */
export function podStatus(state: PodState, nodeIP: string, now: number): PodStatus {
  const { pod } = state;
  const { spec, metadata } = pod;
  const before = pod.status ?? {};
  const time = formatTimestamp(now);
  const known = statusesOf(state);
  const phase = phaseOf(state, [...known.init, ...known.main]);
  const override = phase === "Failed" ? state.termination?.cause.status : undefined;
  const shown = state.isTornDown ? settledStatuses(spec, known) : known;
  const hasSandbox = state.sandbox !== undefined && !state.isSandboxDead && !state.isTornDown;
  const ip = state.sandbox?.ip ?? before.podIP;
  return {
    ...before,
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    phase,
    ...(override === undefined ? {} : { reason: override.reason, message: override.message }),
    conditions: podConditions({
      spec,
      phase: state.termination?.cause.kind === "deadline" ? "Failed" : phase,
      initStatuses: shown.init,
      statuses: shown.main,
      current: before.conditions ?? [],
      hasSandbox,
      generation: metadata.generation,
      now: time,
      ...(override?.disruption === undefined ? {} : { disruption: override.disruption }),
    }),
    hostIP: nodeIP,
    hostIPs: [{ ip: nodeIP }],
    ...(ip === undefined || ip === "" ? {} : { podIP: ip, podIPs: [{ ip }] }),
    startTime: before.startTime ?? time,
    ...(shown.init.length === 0 ? {} : { initContainerStatuses: [...shown.init] }),
    containerStatuses: [...shown.main],
    ...(known.ephemeral.length === 0 ? {} : { ephemeralContainerStatuses: known.ephemeral }),
    qosClass: before.qosClass ?? podQosClass(spec),
  };
}

function statusesOf(state: PodState): Record<"init" | "main" | "ephemeral", ContainerStatus[]> {
  const { init, main, ephemeral } = inStatusOrder(state.pod.spec);
  const isPastInit = hasStartedMain(state);
  const isForgotten = (container: Container) =>
    isPastInit && !isSidecar(container) && state.record(container.name).current === undefined;
  return {
    init: init.map((container) => {
      const status = statusOf(state, container);
      return isForgotten(container) ? { ...status, state: { terminated: PASSED }, ready: true } : status;
    }),
    main: main.map((container) => statusOf(state, container)),
    ephemeral: ephemeral.map((container) => statusOf(state, container)),
  };
}

/** Terminal phases are shown once nothing runs any more, and never left (status_manager mergePodStatus). */
function phaseOf(state: PodState, statuses: readonly ContainerStatus[]): PodPhase {
  const before = state.pod.status?.phase;
  if (before === "Succeeded" || before === "Failed") return before;
  const phase = podPhase({
    spec: state.pod.spec,
    statuses,
    isTornDown: state.isTornDown,
    hasInitialized: hasStartedMain(state),
  });
  const isTerminal = phase === "Succeeded" || phase === "Failed";
  if (state.isTornDown) {
    if (state.termination?.cause.status !== undefined) return "Failed";
    return isTerminal ? phase : "Failed";
  }
  return isTerminal ? (before === "Running" ? "Running" : "Pending") : phase;
}

/** A main container has been started in the present sandbox. */
function hasStartedMain({ pod, containers, sandboxAttempts }: PodState): boolean {
  return pod.spec.containers.some(({ name }) => containers.get(name)?.startedIn === sandboxAttempts);
}

function statusOf(state: PodState, container: Container): ContainerStatus {
  const record = state.record(container.name);
  return containerStatus(state.pod.spec, container, {
    ...pick(record),
    ...state.probes.of(container.name),
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
  const isEphemeral =
    state.pod.spec.ephemeralContainers?.some(({ name }) => name === container.name) === true;
  if (isEphemeral) return current === undefined;
  const isPlainInit = state.pod.spec.initContainers?.includes(container) === true && !isSidecar(container);
  if (isPlainInit && current?.end?.exitCode === 0) return false;
  const observed = current === undefined ? undefined : { instance: current, isBeingReplaced };
  return isToBeStarted(state.pod.spec, container, observed);
}
