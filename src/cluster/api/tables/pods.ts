/** READY, STATUS and RESTARTS of a pod, exactly as `printPod` decides them (`pkg/printers/internalversion/printers.go`). */
import type { ContainerStatus, Pod } from "../../../../generated/kubernetes.ts";
import { ageOf, humanDuration } from "../../../k8s/duration.ts";
import { isSidecar } from "../../../k8s/pod.ts";
import { age, columnsOf, printer } from "./table-printer.ts";

interface Summary {
  readonly total: number;
  readonly ready: number;
  readonly status: string;
  readonly restarts: number;
  /** When the last of them ended, RFC 3339. */
  readonly lastRestart: string | undefined;
}

export const podPrinter = printer<Pod>(
  columnsOf(
    "Name",
    "Ready",
    "Status",
    "Restarts",
    "Age",
    "!IP",
    "!Node",
    "!Nominated Node",
    "!Readiness Gates",
  ),
  (pod, now) => {
    const { total, ready, status, restarts, lastRestart } = summarize(pod);
    const ago = restarts > 0 && lastRestart ? ` (${ageOf(lastRestart, now)} ago)` : "";
    return [
      pod.metadata?.name,
      `${ready}/${total}`,
      status,
      `${restarts}${ago}`,
      age(pod, now),
      pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP,
      pod.spec?.nodeName || undefined,
      pod.status?.nominatedNodeName || undefined,
      readinessGates(pod),
    ];
  },
);

/** Rules K1–K5. */
export function summarize(pod: Pod): Summary {
  const init = summarizeInit(pod);
  const main = init.isInitializing && !isInitialized(pod) ? init : summarizeMain(pod, init);
  return { ...main, status: withDeletion(pod, main.status) };
}

interface InitSummary extends Summary {
  readonly isInitializing: boolean;
}

function summarizeInit(pod: Pod): InitSummary {
  const specs = pod.spec?.initContainers ?? [];
  const total = (pod.spec?.containers.length ?? 0) + specs.filter(isSidecar).length;
  const all = { total, ready: 0, restarts: 0, lastRestart: undefined as string | undefined };
  const sidecars = { ready: 0, restarts: 0, lastRestart: undefined as string | undefined };
  const phase = pod.status?.reason || pod.status?.phase || "Unknown";
  const isSidecarName = new Set(specs.filter(isSidecar).map(({ name }) => name));
  for (const [index, container] of (pod.status?.initContainerStatuses ?? []).entries()) {
    all.restarts += container.restartCount;
    all.lastRestart = later(all.lastRestart, container.lastState?.terminated?.finishedAt);
    const sidecar = isSidecarName.has(container.name);
    if (sidecar) {
      sidecars.restarts += container.restartCount;
      sidecars.lastRestart = later(sidecars.lastRestart, container.lastState?.terminated?.finishedAt);
    }
    if (container.state?.terminated?.exitCode === 0) continue;
    if (sidecar && container.started) {
      if (container.ready) sidecars.ready += 1;
      continue;
    }
    const status = initStatus(container, `Init:${index}/${specs.length}`);
    return { ...all, status, ready: sidecars.ready, isInitializing: true };
  }
  return { total, ...sidecars, status: phase, isInitializing: false };
}

function initStatus({ state }: ContainerStatus, progress: string): string {
  const ended = state?.terminated;
  if (ended) return ended.reason ? `Init:${ended.reason}` : `Init:${exitText(ended)}`;
  const waiting = state?.waiting?.reason;
  return waiting && waiting !== "PodInitializing" ? `Init:${waiting}` : progress;
}

function exitText({ signal, exitCode }: { readonly signal?: number; readonly exitCode: number }): string {
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;
}

/** From the last container to the first: the first in the list has the last word. */
function summarizeMain(pod: Pod, init: InitSummary): Summary {
  const phase = pod.status?.reason || pod.status?.phase || "Unknown";
  const sum = {
    ready: init.ready,
    restarts: init.isInitializing ? 0 : init.restarts,
    lastRestart: init.lastRestart,
  };
  let status = phase;
  let hasRunning = false;
  for (const container of (pod.status?.containerStatuses ?? []).toReversed()) {
    sum.restarts += container.restartCount;
    sum.lastRestart = later(sum.lastRestart, container.lastState?.terminated?.finishedAt);
    const { waiting, terminated, running } = container.state ?? {};
    if (waiting?.reason) status = waiting.reason;
    else if (terminated) status = terminated.reason || exitText(terminated);
    else if (container.ready && running) {
      hasRunning = true;
      sum.ready += 1;
    }
  }
  if (status === "Completed" && hasRunning) status = isReady(pod) ? "Running" : "NotReady";
  return { total: init.total, status, ...sum };
}

function withDeletion(pod: Pod, status: string): string {
  if (!pod.metadata?.deletionTimestamp) return status;
  if (pod.status?.reason === "NodeLost") return "Unknown";
  const phase = pod.status?.phase;
  return phase === "Succeeded" || phase === "Failed" ? status : "Terminating";
}

function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

function isInitialized(pod: Pod): boolean {
  return (
    pod.status?.conditions?.some(({ type, status }) => type === "Initialized" && status === "True") ?? false
  );
}

function readinessGates(pod: Pod): string | undefined {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return undefined;
  const met = gates.filter(({ conditionType }) =>
    pod.status?.conditions?.some(({ type, status }) => type === conditionType && status === "True"),
  );
  return `${met.length}/${gates.length}`;
}

function later(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Date.parse(a) >= Date.parse(b) ? a : b;
}

/** `2m3s` between two times; used for jobs and events too. */
export function between(from: string | undefined, to: number): string {
  return from === undefined ? "<unknown>" : humanDuration(to - Date.parse(from));
}
