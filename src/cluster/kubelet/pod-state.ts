/** What the node knows about one pod. Changed only by the pod's own worker and by the ends of its containers. */
import type { Container, ContainerStatus } from "../../../generated/kubernetes.ts";
import type { ContainerEnd, ContainerInstance, StartFailure } from "../../k8s/container-status.ts";
import type { StoredPod } from "../../k8s/pod.ts";
import type { PodSandbox, RunningContainer } from "../sandbox/sandbox.ts";
import type { BackoffEntry } from "./crash-backoff.ts";
import { NO_PROBES, type ObservedContainer, type ObservedPod, type ProbeResults } from "./pod-actions.ts";
import { shortened, type StoppingContainer, type Termination } from "./termination.ts";
import type { MountedVolume } from "./volumes/pod-volumes.ts";
import { PodTokens } from "./volumes/pod-tokens.ts";

/** A container that has been told to stop. Times are monotonic milliseconds. */
export interface Stopping {
  readonly signaledAt?: number;
  readonly isKilled: boolean;
  /** Grace period of a container that is stopped on its own; the pod's termination has its own. */
  readonly alone?: Termination;
  /** It ran when the pod's termination began, so that others wait for it. */
  readonly isInTermination?: boolean;
  readonly preStop?: PreStop;
}

/** A preStop hook that has been started. */
export interface PreStop {
  isRunning: boolean;
  /** Gives it up. */
  readonly abort: () => void;
}

export interface ContainerRecord {
  current?: ContainerInstance;
  previous?: ContainerInstance;
  /** Present while `current` runs. */
  running?: RunningContainer;
  /** Settled when the end of `running` is in this record. */
  ended?: Promise<void>;
  /** Unpacked image that it runs from, or is about to. */
  rootfs?: string;
  /** The signal that asks it to end. */
  stopSignal?: number;
  /** File that is mounted at its terminationMessagePath. */
  terminationLog?: string;
  stopping?: Stopping;
  /** Number of the sandbox in which `current` was started; absent when an earlier engine did. */
  startedIn?: number;
  /** We are stopping it, or have stopped it, in order to start it again. */
  isBeingReplaced: boolean;
  /** A replacement came too early: it waits the whole back-off from the end of its last instance. */
  hasMissedItsTurn?: boolean;
  /** Why the last start failed, and when it is tried again (Unix milliseconds). */
  failure?: StartFailure & { readonly retryAt?: number };
  /** Instance whose back-off has been reported in an event. */
  reportedBackoffOf?: string;
}

/** Why a pod is being stopped although nobody deleted it. */
export interface TerminationCause {
  readonly kind: "deleted" | "completed" | "deadline" | "rejected" | "evicted";
  /** Overrides phase and reason of the status (evictions, deadlines). */
  readonly status?: {
    readonly phase: "Failed";
    readonly reason: string;
    readonly message: string;
    /** Reason and message of the condition `DisruptionTarget`. */
    readonly disruption?: { readonly reason: string; readonly message: string };
  };
}

interface PullBackoff extends BackoffEntry {
  readonly failedAt: number;
  readonly message: string;
  isReported: boolean;
}

/** What probes have found out about the instances that are there now. */
export interface ProbeView {
  results(): ProbeResults;
  /** For a container's status. */
  of(name: string): ProbedContainer;
}

/** Last results of one container; absent = no such probe. */
export interface ProbedContainer {
  readonly startup?: boolean;
  readonly readiness?: boolean;
}

export class PodState {
  /** The newest version from the store; after a forced deletion the last one seen. */
  pod: StoredPod;
  /** The object is out of the store. */
  isGone = false;
  sandbox: PodSandbox | undefined;
  isSandboxDead = false;
  /** The node has taken it; asked once. */
  isAdmitted = false;
  sandboxAttempts = 0;
  /** Failures in a row to set up sandbox or volumes, and when to try again (Unix milliseconds). */
  setupFailures = 0;
  setupRetryAt = 0;
  volumes: ReadonlyMap<string, MountedVolume> | undefined;
  /** Folders where the present sandbox has a tmpfs. */
  readonly memoryFolders = new Set<string>();
  /** Tokens that its projected volumes show. */
  readonly tokens = new PodTokens();
  podFiles: ReadonlyMap<string, string> = new Map();
  hostname = "";
  termination: (Termination & { readonly cause: TerminationCause }) | undefined;
  /** Everything of the pod is gone from the node. */
  isTornDown = false;
  probes: ProbeView = { results: () => NO_PROBES, of: () => ({}) };
  readonly containers = new Map<string, ContainerRecord>();
  readonly crashBackoff = new Map<string, BackoffEntry>();
  readonly pullBackoff = new Map<string, PullBackoff>();
  /** Keys of ConfigMaps and Secrets that the pod has asked for. */
  readonly references = new Set<string>();

  constructor(pod: StoredPod) {
    this.pod = pod;
  }

  record(name: string): ContainerRecord {
    const known = this.containers.get(name);
    if (known !== undefined) return known;
    const record: ContainerRecord = { isBeingReplaced: false };
    this.containers.set(name, record);
    return record;
  }

  /** Init containers first, ephemeral ones last, in the order of the specification. */
  allContainers(): Container[] {
    const { initContainers = [], containers, ephemeralContainers = [] } = this.pod.spec;
    return [...initContainers, ...containers, ...ephemeralContainers];
  }

  container(name: string): Container | undefined {
    return this.allContainers().find((container) => container.name === name);
  }

  observe(): ObservedPod {
    const containers = new Map<string, ObservedContainer>();
    for (const [name, { current, isBeingReplaced }] of this.containers)
      if (current !== undefined) containers.set(name, { instance: current, isBeingReplaced });
    const sandbox = this.sandbox === undefined ? "none" : this.isSandboxDead ? "dead" : "ready";
    return {
      spec: this.pod.spec,
      containers,
      sandbox,
      sandboxAttempts: this.sandboxAttempts,
      probes: this.probes.results(),
    };
  }

  /** The containers that ran when the termination began, as `terminationStep` wants them. */
  stoppingContainers(): StoppingContainer[] {
    return [...this.containers].flatMap(([name, record]) =>
      record.stopping?.isInTermination === true ? [stoppingContainer(name, record)] : [],
    );
  }

  /** A new instance takes the place of the one before, which becomes the last state. */
  begin(instance: ContainerInstance): void {
    const record = this.record(instance.name);
    if (record.current !== undefined) record.previous = record.current;
    record.current = instance;
    record.startedIn = this.sandboxAttempts;
    record.isBeingReplaced = false;
    delete record.hasMissedItsTurn;
    delete record.stopping;
    delete record.failure;
  }

  end(name: string, end: ContainerEnd): void {
    const record = this.record(name);
    if (record.current === undefined) return;
    record.current = { ...record.current, end };
    delete record.running;
    delete record.rootfs;
  }

  /** A new sandbox runs all init containers again, as if they never had (purgeInitContainers). */
  forgetInitContainers(): void {
    for (const { name } of this.pod.spec.initContainers ?? []) {
      const record = this.containers.get(name);
      if (record?.current === undefined) continue;
      record.previous = record.current;
      delete record.current;
    }
  }

  adoptSandbox(sandbox: PodSandbox): void {
    this.sandbox = sandbox;
    this.isSandboxDead = false;
    this.sandboxAttempts++;
  }

  /** Begins to stop the pod, or shortens what has begun. A deletion outranks other causes, not their status. */
  beginTermination(graceSeconds: number, cause: TerminationCause, now: number): void {
    const before = this.termination;
    const status = before?.cause.status ?? cause.status;
    // What ends by itself may ask for no grace at all; who asks for an end gives a second (calculateEffectiveGracePeriod).
    const seconds = cause.kind === "completed" ? graceSeconds : Math.max(1, graceSeconds);
    this.termination = {
      ...shortened(before, seconds, now),
      cause: { kind: cause.kind, ...(status === undefined ? {} : { status }) },
    };
  }

  /** Restart number of the next instance. */
  nextRestartCount(name: string): number {
    const { current, previous } = this.record(name);
    const last = current ?? previous;
    return last === undefined ? 0 : last.restartCount + 1;
  }

  /**
   * Takes over what an earlier engine wrote: its containers are gone, and nobody knows how those that ran have ended.
   */
  adoptStatus(now: number): void {
    const { status = {} } = this.pod;
    const statuses = [
      ...(status.initContainerStatuses ?? []),
      ...(status.containerStatuses ?? []),
      ...(status.ephemeralContainerStatuses ?? []),
    ];
    for (const containerStatus of statuses) this.#adopt(containerStatus, now);
    if (this.containers.size > 0) this.sandboxAttempts = 1;
  }

  #adopt(status: ContainerStatus, now: number): void {
    const last = status.lastState?.terminated;
    const { running, terminated, waiting } = status.state ?? {};
    const instance = (restartCount: number, end: ContainerEnd, times: { startedAt?: string }) => ({
      name: status.name,
      id: (status.containerID ?? "").replace(/^.*:\/\//, ""),
      restartCount,
      image: status.image,
      imageID: status.imageID,
      ...(times.startedAt === undefined ? {} : { startedAt: Date.parse(times.startedAt) }),
      end,
    });
    const record = this.record(status.name);
    const { restartCount } = status;
    if (last !== undefined)
      record.previous = instance(Math.max(0, restartCount - 1), adoptedEnd(last, now), last);
    if (terminated !== undefined)
      record.current = instance(restartCount, adoptedEnd(terminated, now), terminated);
    else if (running !== undefined) record.current = instance(restartCount, unknownEnd(now), running);
    else if (waiting !== undefined && last !== undefined) {
      record.current = instance(restartCount, adoptedEnd(last, now), last);
      delete record.previous;
    } else this.containers.delete(status.name);
  }
}

/** A stop of one container, as `terminationStep` wants it. */
export function stoppingContainer(name: string, { running, stopping }: ContainerRecord): StoppingContainer {
  return {
    name,
    hasEnded: running === undefined,
    isHookRunning: stopping?.preStop?.isRunning ?? false,
    isKilled: stopping?.isKilled ?? false,
    ...(stopping?.signaledAt === undefined ? {} : { signaledAt: stopping.signaledAt }),
  };
}

function adoptedEnd(
  {
    exitCode,
    reason = "Error",
    message,
    finishedAt,
  }: NonNullable<ContainerStatus["state"]>["terminated"] & {},
  now: number,
): ContainerEnd {
  return {
    exitCode,
    reason,
    ...(message === undefined ? {} : { message }),
    finishedAt: finishedAt === undefined ? now : Date.parse(finishedAt),
  };
}

/** `ContainerStatusUnknown` of the kubelet (convertToAPIContainerStatuses). */
function unknownEnd(now: number): ContainerEnd {
  return {
    exitCode: 137,
    reason: "ContainerStatusUnknown",
    message: "The container could not be located when the pod was terminated",
    finishedAt: now,
  };
}
