/** What the node knows about one pod. Changed only by the pod's own worker and by the ends of its containers. */
import type { Container } from "../../../generated/kubernetes.ts";
import type { ContainerEnd, ContainerInstance, StartFailure } from "../../k8s/container-status.ts";
import type { StoredPod } from "../../k8s/pod.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { PodSandbox, RunningContainer } from "../sandbox/sandbox.ts";
import type { BackoffEntry } from "./crash-backoff.ts";
import type { PublishedPorts } from "./host-ports.ts";
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
  /** Why the last start failed, and when it is tried again (monotonic milliseconds). */
  failure?: StartFailure & { readonly retryAt?: number };
  /** Instance whose back-off has been reported in an event. */
  reportedBackoffOf?: string;
}

/** Why a pod is being stopped although nobody deleted it. */
export interface TerminationCause {
  readonly kind: "deleted" | "completed" | "deadline" | "rejected" | "evicted" | "shutdown";
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
  /** Its listeners on this machine; absent before they are open. */
  hostPorts: PublishedPorts | undefined;
  /** The node has taken it; asked once. */
  isAdmitted = false;
  sandboxAttempts = 0;
  /** Failures in a row to set up sandbox or volumes, and when to try again (monotonic milliseconds). */
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
  /** Nothing of the pod runs, its volumes and its object wait for the next engine. */
  isShutDown = false;
  probes: ProbeView = { results: () => NO_PROBES, of: () => ({}) };
  readonly containers = new Map<string, ContainerRecord>();
  /** Ends the wait for the next step of containers that are stopped on their own. */
  cancelStopTimer: (() => void) | undefined;
  readonly crashBackoff = new Map<string, BackoffEntry>();
  readonly pullBackoff = new Map<string, PullBackoff>();
  /** Monotonic moments of ends and of the pod's start. */
  readonly #endTimes = new WeakMap<ContainerEnd, number>();
  #startTime: number | undefined;
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

  /** Monotonic milliseconds of an end: from the first question on, a wall clock that jumps does not move it. */
  endedAt(end: ContainerEnd, clock: Clock): number {
    const endedAt = this.#endTimes.get(end) ?? monotonicOf(end.finishedAt, clock);
    this.#endTimes.set(end, endedAt);
    return endedAt;
  }

  /** As `endedAt`, for the moment when the node took the pod on; `undefined` before. */
  startedAt(clock: Clock): number | undefined {
    const startTime = Date.parse(this.pod.status?.startTime ?? "");
    if (!Number.isNaN(startTime)) this.#startTime ??= monotonicOf(startTime, clock);
    return this.#startTime;
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
    // What was to be replaced in the one before is just gone, like everything else.
    for (const record of this.containers.values()) {
      record.isBeingReplaced = false;
      delete record.hasMissedItsTurn;
      delete record.stopping;
    }
  }

  /**
   * Begins to stop the pod, or shortens what has begun. A deletion outranks other causes, not their status; the end of the
   * node outranks none.
   */
  beginTermination(graceSeconds: number, cause: TerminationCause, now: number): void {
    const before = this.termination;
    const status = before?.cause.status ?? cause.status;
    // What ends by itself may ask for no grace at all; who asks for an end gives a second (calculateEffectiveGracePeriod).
    const kind = cause.kind === "shutdown" ? (before?.cause.kind ?? cause.kind) : cause.kind;
    const seconds = cause.kind === "completed" ? graceSeconds : Math.max(1, graceSeconds);
    this.termination = {
      ...shortened(before, seconds, now),
      cause: { kind, ...(status === undefined ? {} : { status }) },
    };
  }

  /** Restart number of the next instance. */
  nextRestartCount(name: string): number {
    const { current, previous } = this.record(name);
    const last = current ?? previous;
    return last === undefined ? 0 : last.restartCount + 1;
  }
}

/** What lies in the future is now. */
function monotonicOf(unixMs: number, clock: Clock): number {
  return clock.monotonic() - Math.max(0, clock.now() - unixMs);
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
