/** The pods table; its STATUS column is the one place where people look (`printPod`, rules K1 to K5). */
import type {
  ContainerState,
  ContainerStateTerminated,
  ContainerStatus,
  Pod,
  PodSpec,
  PodStatus,
} from "../../../../generated/kubernetes.ts";
import { humanDuration } from "../../../k8s/duration.ts";
import { isSidecar } from "../../../k8s/pod.ts";
import { age, nameOf } from "./cell-text.ts";
import { AGE, column, definePrinter, NAME } from "./table-printer.ts";

interface Restarts {
  readonly count: number;
  /** Unix milliseconds at which the newest of the ended instances ended; 0 for never. */
  readonly last: number;
}

interface Summary {
  readonly reason: string;
  readonly ready: number;
  readonly restarts: Restarts;
}

const NEVER: Restarts = { count: 0, last: 0 };

export const podPrinter = definePrinter<Pod>(
  [
    NAME,
    column("Ready", { description: "Containers that are ready, of all that are meant to keep running" }),
    column("Status", { description: "Phase of the pod, or what keeps it from going on" }),
    column("Restarts", { description: "How often containers were started again, and when last" }),
    AGE,
    column("IP", { wide: true }),
    column("Node", { wide: true }),
    column("Nominated Node", { wide: true }),
    column("Readiness Gates", { wide: true }),
  ],
  ({ metadata, spec = { containers: [] }, status = {} }, now) => {
    const { reason, ready, restarts } = summarize(spec, status);
    const total = (spec.containers ?? []).length + (spec.initContainers ?? []).filter(isSidecar).length;
    return [
      nameOf(metadata),
      `${ready}/${total}`,
      shownReason(reason, status, metadata.deletionTimestamp),
      formatRestarts(restarts, now),
      age(metadata, now),
      status.podIPs?.[0]?.ip || status.podIP || "<none>",
      spec.nodeName || "<none>",
      status.nominatedNodeName || "<none>",
      readinessGates(spec, status),
    ];
  },
);

function shownReason(
  reason: string,
  { phase, reason: statusReason }: PodStatus,
  deleted: string | undefined,
): string {
  if (deleted === undefined) return reason;
  if (statusReason === "NodeLost") return "Unknown";
  return phase === "Succeeded" || phase === "Failed" ? reason : "Terminating";
}

function formatRestarts({ count, last }: Restarts, now: number): string {
  return count !== 0 && last !== 0 ? `${count} (${humanDuration(now - last)} ago)` : String(count);
}

function summarize(spec: PodSpec, status: PodStatus): Summary {
  const gated = hasCondition(status, { type: "PodScheduled", reason: "SchedulingGated" });
  const reason = gated ? "SchedulingGated" : status.reason || status.phase || "";
  const init = summarizeInit(spec, status);
  if (init.reason !== undefined && !hasCondition(status, { type: "Initialized", status: "True" })) {
    return { reason: init.reason, ready: init.readySidecars, restarts: init.restarts };
  }
  const main = summarizeMain(status, { reason, restarts: init.sidecarRestarts });
  return { ...main, ready: main.ready + init.readySidecars };
}

function hasCondition(
  { conditions }: PodStatus,
  wanted: { type: string; status?: string; reason?: string },
): boolean {
  return (conditions ?? []).some(
    ({ type, status, reason }) =>
      type === wanted.type &&
      (wanted.status === undefined || status === wanted.status) &&
      (wanted.reason === undefined || reason === wanted.reason),
  );
}

function addRestarts({ count, last }: Restarts, { restartCount, lastState }: ContainerStatus): Restarts {
  const ended = Date.parse(lastState?.terminated?.finishedAt ?? "");
  return { count: count + (restartCount ?? 0), last: Number.isNaN(ended) ? last : Math.max(last, ended) };
}

/** Init containers in order, up to the first that is not through: its state is the pod's, its `reason` is set. */
function summarizeInit({ initContainers = [] }: PodSpec, status: PodStatus) {
  const sidecars = new Set(initContainers.filter(isSidecar).map(({ name }) => name));
  let [restarts, sidecarRestarts, readySidecars] = [NEVER, NEVER, 0];
  for (const [index, container] of (status.initContainerStatuses ?? []).entries()) {
    const runs = sidecars.has(container.name);
    restarts = addRestarts(restarts, container);
    if (runs) sidecarRestarts = addRestarts(sidecarRestarts, container);
    if (container.state?.terminated?.exitCode === 0) continue;
    if (runs && container.started === true) {
      readySidecars += container.ready ? 1 : 0;
      continue;
    }
    const reason = initReason(container.state) ?? `Init:${index}/${initContainers.length}`;
    return { reason, restarts, sidecarRestarts, readySidecars };
  }
  return { reason: undefined, restarts, sidecarRestarts, readySidecars };
}

function initReason(state: ContainerState | undefined): string | undefined {
  if (state?.terminated !== undefined) return `Init:${endReason(state.terminated)}`;
  const waiting = state?.waiting?.reason;
  return waiting && waiting !== "PodInitializing" ? `Init:${waiting}` : undefined;
}

function endReason({ reason, signal, exitCode }: ContainerStateTerminated): string {
  if (reason) return reason;
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;
}

/** Main containers from the last to the first, so that the first has the last word. */
function summarizeMain(status: PodStatus, start: Pick<Summary, "reason" | "restarts">): Summary {
  let { reason, restarts } = start;
  let ready = 0;
  let failure: string | undefined;
  for (const container of (status.containerStatuses ?? []).toReversed()) {
    restarts = addRestarts(restarts, container);
    const { waiting, terminated, running } = container.state ?? {};
    if (waiting?.reason) reason = waiting.reason;
    else if (terminated !== undefined) {
      reason = endReason(terminated);
      if (terminated.exitCode !== 0) failure = reason;
    } else if (container.ready && running !== undefined) ready += 1;
  }
  if (reason === "Completed") {
    if (ready > 0 && hasCondition(status, { type: "Ready", status: "True" })) reason = "Running";
    else if (failure !== undefined) reason = failure;
    else if (ready > 0) reason = "NotReady";
  }
  return { reason, ready, restarts };
}

function readinessGates({ readinessGates: gates = [] }: PodSpec, status: PodStatus): string {
  if (gates.length === 0) return "<none>";
  const met = gates.filter(({ conditionType }) =>
    hasCondition(status, { type: conditionType, status: "True" }),
  );
  return `${met.length}/${gates.length}`;
}
