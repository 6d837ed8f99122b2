/** What a pod needs next: pure decisions after the kubelet's computePodActions and computeInitContainerActions. */
import type { Container, PodSpec } from "../../../generated/kubernetes.ts";
import type { ContainerInstance } from "../../k8s/container-status.ts";
import { isSidecar } from "../../k8s/pod.ts";
import { restartsAfterExit, restartsAfterKill } from "../../k8s/restart-policy.ts";

/** What is known of a container at the moment of a decision. */
export interface ObservedContainer {
  /** The newest instance. */
  readonly instance: ContainerInstance;
  /** We are stopping it, or have stopped it, in order to start it again. */
  readonly isBeingReplaced: boolean;
}

/** Results of probes by container name; absent = the container has no such probe, or it has not run yet. */
export interface ProbeResults {
  readonly startup: ReadonlyMap<string, boolean>;
  readonly liveness: ReadonlyMap<string, boolean>;
  /** Containers whose startup probe has to succeed before they count as started. */
  readonly awaitsStartup: ReadonlySet<string>;
}

export const NO_PROBES: ProbeResults = {
  startup: new Map(),
  liveness: new Map(),
  awaitsStartup: new Set(),
};

export interface ObservedPod {
  readonly spec: PodSpec;
  readonly containers: ReadonlyMap<string, ObservedContainer>;
  readonly sandbox: "none" | "ready" | "dead";
  /** Sandboxes made for this pod so far. */
  readonly sandboxAttempts: number;
  readonly probes: ProbeResults;
}

export interface ContainerToKill {
  readonly name: string;
  /** Text of the `Killing` event. */
  readonly message: string;
  /** Decides which grace period applies (T2). */
  readonly cause: KillCause;
  /** It is started again, whatever its exit code. */
  readonly restarts: boolean;
}

/** Why one container of a pod that goes on is killed. */
export type KillCause = "definition changed" | "liveness probe" | "startup probe" | "postStart hook";

export interface PodActions {
  /** Nothing is left to keep alive: stop everything, the pod is over. */
  readonly killPod: boolean;
  /** Replaces a sandbox that died, or makes the first one. */
  readonly createSandbox: boolean;
  readonly kill: readonly ContainerToKill[];
  /** Indices into `ephemeralContainers`: those that never ran. */
  readonly startEphemeral: readonly number[];
  /** Indices into `initContainers`, in the order of the list. */
  readonly startInit: readonly number[];
  /** Indices into `containers`, in the order of the list. */
  readonly start: readonly number[];
}

const NOTHING: PodActions = {
  killPod: false,
  createSandbox: false,
  kill: [],
  startEphemeral: [],
  startInit: [],
  start: [],
};

/** `computePodActions`. */
export function computePodActions(pod: ObservedPod): PodActions {
  if (pod.sandbox !== "ready") return actionsForNewSandbox(pod);
  if (pod.spec.containers.every((container) => isOver(pod, container))) return { ...NOTHING, killPod: true };

  const startEphemeral = ephemeralToStart(pod);
  const init = computeInitActions(pod);
  if (init.killPod) return { ...NOTHING, killPod: true };
  if (!init.hasInitialized) return { ...NOTHING, kill: init.kill, startEphemeral, startInit: init.start };

  const main = computeMainActions(pod);
  if (main.keepCount === 0 && main.start.length === 0) return { ...NOTHING, killPod: true };
  return {
    ...NOTHING,
    kill: [...init.kill, ...main.kill],
    startEphemeral,
    startInit: init.start,
    start: main.start,
  };
}

/** Ephemeral containers run once, also while the pod still initializes. */
function ephemeralToStart({ spec, containers }: ObservedPod): number[] {
  return (spec.ephemeralContainers ?? []).flatMap(({ name }, index) => (containers.has(name) ? [] : [index]));
}

function actionsForNewSandbox({ spec, containers, sandboxAttempts }: ObservedPod): PodActions {
  const hasRunBefore = sandboxAttempts > 0 && containers.size > 0;
  if (spec.restartPolicy === "Never" && hasRunBefore) return { ...NOTHING, killPod: true };
  const toStart = spec.containers.flatMap((container, index) => {
    const end = containers.get(container.name)?.instance.end;
    return spec.restartPolicy === "OnFailure" && end?.exitCode === 0 ? [] : [index];
  });
  if (toStart.length === 0) return { ...NOTHING, killPod: true };
  if ((spec.initContainers?.length ?? 0) > 0) return { ...NOTHING, createSandbox: true, startInit: [0] };
  return { ...NOTHING, createSandbox: true, start: toStart };
}

interface InitActions {
  readonly hasInitialized: boolean;
  readonly killPod: boolean;
  readonly kill: readonly ContainerToKill[];
  readonly start: readonly number[];
}

/** `computeInitContainerActions`: from the last init container backwards, the newest known one tells how far the pod is. */
function computeInitActions(pod: ObservedPod): InitActions {
  const initContainers = pod.spec.initContainers ?? [];
  const kill: ContainerToKill[] = [];
  const start = new Set<number>();
  const hasMainRunning = pod.spec.containers.some(
    ({ name }) => isRunning(pod.containers.get(name)) || pod.containers.get(name)?.isBeingReplaced === true,
  );
  let hasInitialized = hasMainRunning || initContainers.length === 0;
  let isPast = hasMainRunning;
  for (let index = initContainers.length - 1; index >= 0; index--) {
    const container = initContainers[index];
    if (container === undefined) continue;
    const observed = pod.containers.get(container.name);
    if (observed === undefined) {
      if (isPast && isSidecar(container)) start.add(index);
      continue;
    }
    if (isPast && !isSidecar(container)) continue;
    const verdict = judgeInit(pod, container, observed);
    if (verdict.fails) return { hasInitialized: false, killPod: true, kill: [], start: [] };
    if (verdict.kill !== undefined) kill.push(verdict.kill);
    if (verdict.restarts) start.add(index);
    if (verdict.isInitialized && !isPast) {
      if (index === initContainers.length - 1) hasInitialized = true;
      else start.add(index + 1);
    }
    isPast = true;
  }
  if (!isPast && initContainers.length > 0) start.add(0);
  return { hasInitialized, killPod: false, kill, start: [...start].sort((a, b) => a - b) };
}

interface InitVerdict {
  readonly isInitialized?: boolean;
  readonly restarts?: boolean;
  readonly fails?: boolean;
  readonly kill?: ContainerToKill;
}

function judgeInit(pod: ObservedPod, container: Container, observed: ObservedContainer): InitVerdict {
  const { end } = observed.instance;
  if (end === undefined) return judgeRunningInit(pod, container, observed);
  if (isSidecar(container)) return { restarts: true };
  if (end.exitCode === 0) return { isInitialized: true };
  return restartsAfterExit(pod.spec, container, end.exitCode) ? { restarts: true } : { fails: true };
}

function judgeRunningInit(
  pod: ObservedPod,
  container: Container,
  { instance, isBeingReplaced }: ObservedContainer,
): InitVerdict {
  if (!isSidecar(container) || isBeingReplaced) return {};
  const { name } = container;
  if (pod.probes.awaitsStartup.has(name)) {
    const startup = pod.probes.startup.get(name);
    if (startup === undefined) return {};
    if (!startup) {
      const message = `Init container ${name} failed startup probe`;
      return { kill: { name, message, cause: "startup probe", restarts: true } };
    }
  }
  if (instance.image !== container.image) {
    const message = `Init container ${name} definition changed`;
    return { isInitialized: true, kill: { name, message, cause: "definition changed", restarts: true } };
  }
  if (pod.probes.liveness.get(name) === false) {
    const message = `Init container ${name} failed liveness probe`;
    return { isInitialized: true, kill: { name, message, cause: "liveness probe", restarts: true } };
  }
  return { isInitialized: true };
}

interface MainActions {
  readonly kill: readonly ContainerToKill[];
  readonly start: readonly number[];
  /** Containers that run on, or are being replaced. */
  readonly keepCount: number;
}

function computeMainActions(pod: ObservedPod): MainActions {
  const kill: ContainerToKill[] = [];
  const start: number[] = [];
  let keepCount = 0;
  for (const [index, container] of pod.spec.containers.entries()) {
    const observed = pod.containers.get(container.name);
    if (!isRunning(observed)) {
      if (isToBeStarted(pod.spec, container, observed)) start.push(index);
      continue;
    }
    if (observed?.isBeingReplaced === true) {
      keepCount++;
      continue;
    }
    const doomed = observed && judgeRunningMain(pod, container, observed.instance);
    if (doomed !== undefined) kill.push(doomed);
    if (doomed?.restarts !== false) keepCount++;
  }
  return { kill, start, keepCount };
}

function judgeRunningMain(
  { spec, probes }: ObservedPod,
  container: Container,
  instance: ContainerInstance,
): ContainerToKill | undefined {
  const { name } = container;
  const doom = (what: string, cause: KillCause, restarts: boolean): ContainerToKill => ({
    name,
    cause,
    message: `Container ${name} ${what}${restarts ? ", will be restarted" : ""}`,
    restarts,
  });
  if (instance.image !== container.image) return doom("definition changed", "definition changed", true);
  const restarts = restartsAfterKill(spec, container);
  if (probes.liveness.get(name) === false) return doom("failed liveness probe", "liveness probe", restarts);
  if (probes.startup.get(name) === false) return doom("failed startup probe", "startup probe", restarts);
  return undefined;
}

/** `ShouldContainerBeRestarted` of a container that does not run. */
export function isToBeStarted(
  spec: PodSpec,
  container: Container,
  observed: ObservedContainer | undefined,
): boolean {
  const end = observed?.instance.end;
  if (observed === undefined || end === undefined) return observed === undefined;
  return observed.isBeingReplaced || restartsAfterExit(spec, container, end.exitCode);
}

/** Ended for good. A sidecar that is starting again must not keep such a pod alive. */
function isOver({ spec, containers }: ObservedPod, container: Container): boolean {
  const observed = containers.get(container.name);
  return observed?.instance.end !== undefined && !isToBeStarted(spec, container, observed);
}

function isRunning(observed: ObservedContainer | undefined): boolean {
  return observed !== undefined && observed.instance.end === undefined;
}
