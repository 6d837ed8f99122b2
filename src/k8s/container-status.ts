/** A container's status as the API shows it, from what the node knows of its instances. */
import type {
  Container,
  ContainerState,
  ContainerStateTerminated,
  ContainerStatus,
  PodSpec,
} from "../../generated/kubernetes.ts";
import { isSidecar } from "./pod.ts";
import { formatTimestamp } from "./timestamp.ts";

/** Runtime name in `containerID`. */
const RUNTIME = "pillion";

/** How an instance ended. Times are Unix milliseconds. */
export interface ContainerEnd {
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string;
  readonly signal?: number;
  readonly finishedAt: number;
}

/** `LinuxContainerUser`: what runs, whatever the pod asked for. */
export interface LinuxUser {
  readonly uid: number;
  readonly gid: number;
  readonly supplementalGroups: readonly number[];
}

/** One start of a container. A restart makes a new instance with the next `restartCount`. */
export interface ContainerInstance {
  readonly name: string;
  /** 64 hexadecimal digits; empty when the instance never got as far as a process. */
  readonly id: string;
  readonly restartCount: number;
  /** `image` of the specification it was started from. */
  readonly image: string;
  readonly imageID: string;
  /** Unix milliseconds; absent when the start failed. */
  readonly startedAt?: number;
  /** Who it was started as. */
  readonly user?: LinuxUser;
  /** Absent while it runs. */
  readonly end?: ContainerEnd;
}

/** Why the last attempt to start a container failed; the kubelet's reason cache. */
export interface StartFailure {
  readonly reason: string;
  readonly message: string;
}

export interface ContainerFacts {
  readonly current?: ContainerInstance;
  readonly previous?: ContainerInstance;
  readonly failure?: StartFailure;
  /** The container is going to be (re)started, so that a failure is shown instead of its end. */
  readonly isToBeStarted: boolean;
  /** Last result of the probes; absent = no such probe. */
  readonly startup?: boolean;
  readonly readiness?: boolean;
}

/** Kind of a container within its pod; the rules for `ready` and `started` differ. */
export type ContainerRole = "init" | "sidecar" | "main" | "ephemeral";

export function containerRole(spec: PodSpec, name: string): ContainerRole {
  if (spec.ephemeralContainers?.some((container) => container.name === name)) return "ephemeral";
  const init = spec.initContainers?.find((container) => container.name === name);
  if (init === undefined) return "main";
  return isSidecar(init) ? "sidecar" : "init";
}

/** `convertToAPIContainerStatuses` for one container. */
export function containerStatus(spec: PodSpec, container: Container, facts: ContainerFacts): ContainerStatus {
  const { current, previous, failure } = facts;
  const role = containerRole(spec, container.name);
  let state = current === undefined ? waitingForFirstStart(spec) : stateOf(current);
  let lastState = previous?.end === undefined ? {} : stateOf(previous);
  if (facts.isToBeStarted && failure !== undefined) {
    if (state.terminated !== undefined) lastState = state;
    state = { waiting: { reason: failure.reason, message: failure.message } };
  }
  const isRunning = state.running !== undefined;
  return {
    name: container.name,
    state,
    lastState,
    ...readinessOf(role, state, facts),
    restartCount: (current ?? previous)?.restartCount ?? 0,
    image: current?.image ?? container.image ?? "",
    imageID: current?.imageID ?? "",
    ...(current === undefined || current.id === "" ? {} : { containerID: containerURL(current.id) }),
    ...resourcesOf(container, isRunning),
    ...mountsOf(container),
    ...userOf(current?.user),
    ...stopSignalOf(container, current),
  };
}

/** Shown where the pod asks for one (KEP-4960). */
function stopSignalOf({ lifecycle }: Container, current: unknown): Partial<ContainerStatus> {
  const stopSignal = lifecycle?.stopSignal;
  return current === undefined || stopSignal === undefined ? {} : { stopSignal };
}

/** Ephemeral containers are never ready, and nobody asks whether they have started (prober_manager UpdatePodStatus). */
function readinessOf(
  role: ContainerRole,
  { running, terminated }: ContainerState,
  { startup, readiness }: ContainerFacts,
): Pick<ContainerStatus, "ready" | "started"> {
  if (role === "ephemeral") return { ready: false };
  const isRunning = running !== undefined;
  if (role === "init") return { ready: terminated?.exitCode === 0, started: isRunning };
  const started = isRunning && (startup ?? true);
  return { ready: started && (readiness ?? true), started };
}

/** `CONTAINERS` of the status in the orders that clients rely on: init containers as declared, main ones by name. */
export function inStatusOrder(spec: PodSpec): Record<"init" | "main" | "ephemeral", readonly Container[]> {
  return {
    init: spec.initContainers ?? [],
    main: byName(spec.containers),
    ephemeral: byName(spec.ephemeralContainers ?? []),
  };
}

function byName(containers: readonly Container[]): Container[] {
  return containers.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

export function containerURL(id: string): string {
  return `${RUNTIME}://${id}`;
}

function waitingForFirstStart(spec: PodSpec): ContainerState {
  const hasInit = (spec.initContainers?.length ?? 0) > 0;
  return { waiting: { reason: hasInit ? "PodInitializing" : "ContainerCreating" } };
}

function stateOf({ id, startedAt, end }: ContainerInstance): ContainerState {
  const started = startedAt === undefined ? {} : { startedAt: formatTimestamp(startedAt) };
  if (end === undefined) return { running: started };
  const terminated: ContainerStateTerminated = {
    exitCode: end.exitCode,
    ...(end.signal === undefined ? {} : { signal: end.signal }),
    reason: end.reason,
    ...(end.message === undefined || end.message === "" ? {} : { message: end.message }),
    ...started,
    finishedAt: formatTimestamp(end.finishedAt),
    ...(id === "" ? {} : { containerID: containerURL(id) }),
  };
  return { terminated };
}

function resourcesOf({ resources }: Container, isRunning: boolean): Partial<ContainerStatus> {
  if (!isRunning || resources === undefined) return {};
  const { limits, requests } = resources;
  return {
    ...(requests === undefined ? {} : { allocatedResources: requests }),
    resources: {
      ...(limits === undefined ? {} : { limits }),
      ...(requests === undefined ? {} : { requests }),
    },
  };
}

function userOf(user: LinuxUser | undefined): Partial<ContainerStatus> {
  if (user === undefined) return {};
  const { uid, gid, supplementalGroups } = user;
  return { user: { linux: { uid, gid, supplementalGroups: [...supplementalGroups] } } };
}

function mountsOf({ volumeMounts = [] }: Container): Partial<ContainerStatus> {
  if (volumeMounts.length === 0) return {};
  return {
    volumeMounts: volumeMounts.map(({ name, mountPath, readOnly, recursiveReadOnly }) => ({
      name,
      mountPath,
      ...(readOnly === true ? { readOnly, recursiveReadOnly: whatItCameTo(recursiveReadOnly) } : {}),
    })),
  };
}

/** It always is possible here. */
function whatItCameTo(recursion: string | undefined): string {
  return recursion === "IfPossible" ? "Enabled" : (recursion ?? "Disabled");
}
