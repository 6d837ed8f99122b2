/** All probes of one pod: which there are, what they know, and what their results mean for each other (prober_manager.go). */
import type { Container, ContainerStatus, Probe } from "../../../../generated/kubernetes.ts";
import { isSidecar } from "../../../k8s/pod.ts";
import type { KubeletContext } from "../kubelet-context.ts";
import { NO_PROBES, type ProbeResults } from "../pod-actions.ts";
import { containerEvent } from "../pod-events.ts";
import type { ContainerRecord, PodState, ProbedContainer, ProbeView } from "../pod-state.ts";
import type { ProbedInstance, ProbeKind } from "./probe-state.ts";
import { ProbeWorker } from "./probe-worker.ts";
import { type ProbeOutcome, type ProbeTrouble, runProbe } from "./run-probe.ts";

export interface PodProbesOptions {
  readonly context: Pick<KubeletContext, "sandbox" | "clock" | "recorder">;
  readonly state: PodState;
  /** A result has changed that the pod's status or its next actions depend on. */
  readonly onChange: () => void;
}

interface ProbedContainerWorkers {
  readonly name: string;
  readonly isMain: boolean;
  readonly workers: ReadonlyMap<ProbeKind, ProbeWorker>;
}

const TITLES = { startup: "Startup", liveness: "Liveness", readiness: "Readiness" } as const;

export class PodProbes implements ProbeView {
  readonly #options: PodProbesOptions;
  readonly #containers: readonly ProbedContainerWorkers[];
  /** Monotonic milliseconds at which instances started, by id. */
  readonly #startTimes = new Map<string, number>();
  /** What the pod's status said when this engine took it over. */
  readonly #kept: ReadonlyMap<string, ContainerStatus>;

  /** The tickers begin now: not when containers start (PR4). */
  constructor(options: PodProbesOptions) {
    this.#options = options;
    const { pod } = options.state;
    const { initContainers = [], containers } = pod.spec;
    const probed = [...containers, ...initContainers.filter(isSidecar)];
    this.#containers = probed.flatMap((container) =>
      this.#workersOf(container, containers.includes(container)),
    );
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
    this.#kept = new Map(
      [...containerStatuses, ...initContainerStatuses].map((status) => [status.name, status]),
    );
  }

  /** Takes notice of the containers as they are now. */
  see(): void {
    const { state } = this.#options;
    if (state.isTornDown) this.stop();
    else if (state.termination !== undefined) this.#end();
    for (const probed of this.#containers) this.#seeContainer(probed);
  }

  /** For `computePodActions`: only what is known of the very instances that are there now. */
  results(): ProbeResults {
    if (this.#containers.length === 0) return NO_PROBES;
    const startup = new Map<string, boolean>();
    const liveness = new Map<string, boolean>();
    const awaitsStartup = new Set<string>();
    for (const { name, workers } of this.#containers) {
      if (workers.has("startup")) awaitsStartup.add(name);
      for (const [kind, results] of [["startup", startup] as const, ["liveness", liveness] as const]) {
        const result = this.#resultOf(name, workers.get(kind));
        if (result !== undefined) results.set(name, result);
      }
    }
    return { startup, liveness, awaitsStartup };
  }

  /** For the container's status: `started` and `ready`. */
  of(name: string): ProbedContainer {
    const workers = this.#containers.find((probed) => probed.name === name)?.workers;
    const startup = workers?.get("startup");
    const readiness = workers?.get("readiness");
    return {
      ...(startup === undefined ? {} : { startup: this.#resultOf(name, startup) ?? false }),
      ...(readiness === undefined ? {} : { readiness: this.#resultOf(name, readiness) ?? false }),
    };
  }

  /** Ends all probing. Idempotent. */
  stop(): void {
    for (const { workers } of this.#containers) for (const worker of workers.values()) worker.stop();
  }

  #resultOf(name: string, worker: ProbeWorker | undefined): boolean | undefined {
    const current = this.#options.state.containers.get(name)?.current;
    return current !== undefined && worker?.instanceId === current.id ? worker.result : undefined;
  }

  /**
   * Nothing is restarted any more: a deletion ends liveness and startup probes as if they had succeeded (PR19), any other
   * end those of main containers (T16). Readiness goes on.
   */
  #end(): void {
    const { state } = this.#options;
    const isDeletion = state.isGone || state.pod.metadata.deletionTimestamp !== undefined;
    for (const { isMain, workers } of this.#containers)
      if (isDeletion || isMain)
        for (const kind of ["liveness", "startup"] as const) workers.get(kind)?.stop(true);
  }

  #seeContainer({ name, workers }: ProbedContainerWorkers): void {
    const record = this.#options.state.containers.get(name);
    const instance = record === undefined ? undefined : this.#instanceOf(record);
    const kept = this.#keptOf(name, instance);
    const startup = workers.get("startup");
    startup?.see({ instance, isStarted: startup.result === true, kept: kept?.started });
    const isStarted = startup === undefined || this.#resultOf(name, startup) === true;
    for (const kind of ["liveness", "readiness"] as const)
      workers.get(kind)?.see({ instance, isStarted, kept: kind === "readiness" ? kept?.ready : undefined });
  }

  #instanceOf({ current, running }: ContainerRecord): ProbedInstance | undefined {
    if (current === undefined) return undefined;
    const { clock } = this.#options.context;
    let startedAt = this.#startTimes.get(current.id);
    if (startedAt === undefined) {
      // From here on a wall clock that jumps changes nothing.
      const age = Math.max(0, clock.now() - (current.startedAt ?? clock.now()));
      startedAt = clock.monotonic() - age;
      if (running !== undefined) this.#startTimes.set(current.id, startedAt);
    }
    const isRunning = running !== undefined && current.end === undefined;
    if (!isRunning) this.#startTimes.delete(current.id);
    return { id: current.id, isRunning, startedAt };
  }

  /** The status that an earlier engine left of this very instance. */
  #keptOf(name: string, instance: ProbedInstance | undefined): ContainerStatus | undefined {
    const status = this.#kept.get(name);
    const isSame = instance !== undefined && status?.containerID?.endsWith(`//${instance.id}`) === true;
    return isSame && status?.state?.running !== undefined ? status : undefined;
  }

  #workersOf(container: Container, isMain: boolean): ProbedContainerWorkers[] {
    const { name, startupProbe, livenessProbe, readinessProbe } = container;
    const workers = new Map<ProbeKind, ProbeWorker>();
    const probes = { startup: startupProbe, liveness: livenessProbe, readiness: readinessProbe } as const;
    for (const kind of ["startup", "liveness", "readiness"] as const) {
      const probe = probes[kind];
      if (probe !== undefined) workers.set(kind, this.#newWorker(name, kind, probe));
    }
    return workers.size === 0 ? [] : [{ name, isMain, workers }];
  }

  #newWorker(name: string, kind: ProbeKind, probe: Probe): ProbeWorker {
    const { context } = this.#options;
    return new ProbeWorker({
      kind,
      probe,
      clock: context.clock,
      execute: (instanceId, signal) => this.#execute({ name, probe }, instanceId, signal),
      onTrouble: (outcome) => this.#tell(name, kind, outcome),
      onChange: () => this.#changed(name, kind),
    });
  }

  #execute(
    { name, probe }: { readonly name: string; readonly probe: Probe },
    instanceId: string,
    signal: AbortSignal,
  ): Promise<ProbeOutcome> | undefined {
    const { context, state } = this.#options;
    const container = state.container(name);
    const { running, current } = state.record(name);
    if (container === undefined || running === undefined || current?.id !== instanceId) return undefined;
    const { sandbox, clock } = context;
    const podIP = state.sandbox?.ip ?? "";
    return runProbe(probe, { sandbox, clock, container, podIP, running }, signal);
  }

  /** The kubelet's events (prober.probe). */
  #tell(name: string, kind: ProbeKind, outcome: ProbeTrouble): void {
    const { context, state } = this.#options;
    const title = TITLES[kind];
    const told = troubleText(outcome);
    const { reason, text } = told;
    const about = { pod: state.pod, name };
    containerEvent(context.recorder, about, { type: "Warning", reason, message: `${title} probe ${text}` });
  }

  #changed(name: string, kind: ProbeKind): void {
    const probed = this.#containers.find((one) => one.name === name);
    if (kind === "startup" && probed !== undefined) {
      this.#seeContainer(probed);
      // Not at its next tick (PR6).
      if (probed.workers.get("startup")?.result === true) probed.workers.get("readiness")?.trigger();
    }
    this.#options.onChange();
  }
}

function troubleText(outcome: ProbeTrouble): { readonly reason: string; readonly text: string } {
  if (outcome.kind === "warning") return { reason: "ProbeWarning", text: `warning: ${outcome.output}` };
  if (outcome.kind === "failure") return { reason: "Unhealthy", text: `failed: ${outcome.output}` };
  const text = `errored and resulted in ${outcome.state} state: ${outcome.message}`;
  return { reason: "Unhealthy", text };
}
