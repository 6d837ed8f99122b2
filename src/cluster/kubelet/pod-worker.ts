/** One worker per pod: takes in what happens to it, and never does two things to it at once. */
import { asPod, isFinished, type StoredPod } from "../../k8s/pod.ts";
import type { KubeObject } from "../../k8s/object.ts";
import type { AdoptedPod, PodSandbox, RunningContainer } from "../sandbox/sandbox.ts";
import type { PodUse } from "./port.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { podEvent } from "./pod-events.ts";
import { messageOf } from "../../kernel/problem.ts";
import { adoptPod } from "./adopt-pod.ts";
import { adoptStatus } from "./adopt-status.ts";
import { PodState } from "./pod-state.ts";
import { PodProbes } from "./probes/pod-probes.ts";
import { closeHostPorts, volumeFacts } from "./prepare-sandbox.ts";
import { abandonHooks, beginCompletion, cancelStops } from "./stop-container.ts";
import { syncPod, type Pass, type PassResult } from "./sync-pod.ts";
import { removeFromStore, removeLogs, terminatePod } from "./terminate-pod.ts";
import { reportIgnoredFields } from "./ignored-fields.ts";
import { refreshVolumes } from "./volumes/pod-volumes.ts";
import { evictOverfull } from "./volumes/storage-eviction.ts";
import { writeReadiness } from "./write-readiness.ts";
import { writeStatus } from "./write-status.ts";

/** After an error that nobody expected. */
const REPAIR_MS = 10_000;
/** A day, well below what timers can hold. */
const MAX_TIMER_MS = 86_400_000;

export interface WorkerOptions {
  readonly context: KubeletContext;
  readonly pod: StoredPod;
  /** What goes on of it since an earlier engine. */
  readonly adopted?: AdoptedPod | undefined;
  /** Called once, when the object is gone and nothing of the pod is left on the node. */
  readonly onRemoved: () => void;
  /** An error that is a bug of ours or of the machine; the pod is tried again. */
  readonly onError: (error: unknown) => void;
}

export class PodWorker {
  readonly #context: KubeletContext;
  readonly #state: PodState;
  readonly #probes: PodProbes;
  readonly #options: WorkerOptions;
  /** The newest version that the watch has told. */
  #seen: StoredPod;
  #isDirty = false;
  /** Something that a failed start waits for may have changed. */
  #retriesNow = false;
  #isStopped = false;
  #needsRefresh = false;
  #running: Promise<void> | undefined;
  /** Nothing of the pod runs, and nothing will. */
  readonly #over = Promise.withResolvers<void>();
  #cancelTimer: (() => void) | undefined;
  #pass = new AbortController();

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#context = options.context;
    this.#seen = options.pod;
    this.#state = new PodState(options.pod);
    adoptStatus(this.#state, options.context.clock.now());
    if (options.adopted !== undefined)
      adoptPod({ context: options.context, state: this.#state, wake: () => this.wake() }, options.adopted);
    this.#probes = new PodProbes({ ...options, state: this.#state, onChange: () => this.#probed() });
    this.#state.probes = this.#probes;
    reportIgnoredFields(options.context, options.pod);
    this.#takeDeletion();
    this.wake();
  }

  /** A newer version of the object. */
  update(object: KubeObject): void {
    const pod = asPod(object);
    const { spec, metadata } = this.#seen;
    if (pod.metadata.resourceVersion === metadata.resourceVersion) return;
    this.#seen = pod;
    // A status write of ours comes back here, and may have read a version that the watch tells of only now.
    const isNews = versionOf(pod) > versionOf(this.#state.pod);
    if (isNews) this.#state.pod = pod;
    if (pod.spec !== spec) this.#retriesNow = true;
    if (pod.metadata.labels !== metadata.labels || pod.metadata.annotations !== metadata.annotations)
      this.#needsRefresh = true;
    const isDeletion = pod.metadata.deletionTimestamp !== metadata.deletionTimestamp;
    this.#takeDeletion();
    if (isNews || isDeletion || this.#retriesNow || this.#needsRefresh) this.wake();
  }

  /** The object is out of the store, perhaps by force. */
  vanish(): void {
    this.#state.isGone = true;
    this.#terminate(1, "deleted");
    this.wake();
  }

  /** A ConfigMap or Secret has changed. */
  objectChanged(key: string): void {
    if (!this.#state.references.has(key)) return;
    this.#needsRefresh = true;
    this.#retriesNow = true;
    this.wake();
  }

  /** Images may be there now that were not. */
  imagesChanged(): void {
    if (![...this.#state.containers.values()].some(({ failure }) => failure !== undefined)) return;
    this.#retriesNow = true;
    this.wake();
  }

  /** A container runs from this unpacked image, or is about to. */
  usesRootfs(path: string): boolean {
    return [...this.#state.containers.values()].some(({ rootfs }) => rootfs === path);
  }

  isFor(namespace: string, name: string): boolean {
    const { metadata } = this.#state.pod;
    return metadata.namespace === namespace && metadata.name === name && !this.#state.isGone;
  }

  runningContainer(name: string): RunningContainer | undefined {
    return this.#state.containers.get(name)?.running;
  }

  /** Absent before there is one and after it died. */
  readySandbox(): PodSandbox | undefined {
    return this.#state.isSandboxDead || this.#state.isTornDown ? undefined : this.#state.sandbox;
  }

  /** Ends the pod when it has written more to disk than it may. */
  async checkStorage(): Promise<void> {
    try {
      if (this.#isStopped || !(await evictOverfull(this.#context, this.#state))) return;
      this.#pass.abort(new DOMException("The pod is being evicted", "AbortError"));
      this.wake();
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /** `undefined` when nothing of it runs. */
  usage(): PodUse | undefined {
    const { namespace, name } = this.#state.pod.metadata;
    const containers = [...this.#state.containers].flatMap(([container, { running }]) => {
      const use = running?.usage();
      return use === undefined ? [] : [{ name: container, ...use }];
    });
    return containers.length === 0 ? undefined : { namespace, name, containers };
  }

  /** Settled when the container's present instance has ended and its log is complete. */
  containerEnded(name: string): Promise<unknown> | undefined {
    return this.#state.containers.get(name)?.running?.exited;
  }

  wake(): void {
    this.#isDirty = true;
    this.#running ??= this.#run();
  }

  /**
   * Stops the containers with the pod's own grace period, at most `graceSeconds`; a later call can only shorten it. The
   * pod's object and volumes stay for the next engine. Resolves when nothing of the pod runs.
   */
  async shutDown(graceSeconds: number): Promise<void> {
    const { terminationGracePeriodSeconds: own = 30 } = this.#state.pod.spec;
    this.#terminate(Math.min(own, graceSeconds), "shutdown");
    this.wake();
    await this.#over.promise;
  }

  /** Does nothing more; resolves when the present action is over. Processes go on. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer?.();
    this.#probes.stop();
    abandonHooks(this.#state);
    this.#pass.abort(new DOMException("The kubelet is stopping", "AbortError"));
    await this.#running;
    cancelStops(this.#state);
    closeHostPorts(this.#state);
  }

  /** A probe's result has changed. Whoever waits for it does not wait for an image or a hook of the same pod. */
  #probed(): void {
    const isBusy = this.#running !== undefined;
    this.wake();
    if (!isBusy || this.#state.termination !== undefined) return;
    try {
      writeReadiness(this.#context, this.#state);
    } catch (error) {
      // The next pass writes the whole status.
      this.#options.onError(error);
    }
  }

  #takeDeletion(): void {
    const { deletionTimestamp, deletionGracePeriodSeconds } = this.#state.pod.metadata;
    if (deletionTimestamp !== undefined) this.#terminate(deletionGracePeriodSeconds ?? 0, "deleted");
  }

  #terminate(graceSeconds: number, kind: "deleted" | "shutdown"): void {
    const now = this.#context.clock.monotonic();
    const hadBegun = this.#state.termination !== undefined;
    this.#state.beginTermination(graceSeconds, { kind }, now);
    if (!hadBegun) this.#pass.abort(new DOMException("The pod is being stopped", "AbortError"));
  }

  async #run(): Promise<void> {
    // Everything that one store write causes is seen together, and never inside that write.
    await Promise.resolve();
    while (this.#isDirty && !this.#isStopped) {
      this.#isDirty = false;
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      const result = await this.#passOnce();
      if (this.#state.isTornDown || this.#state.isShutDown) this.#over.resolve();
      if (result.again) this.#isDirty = true;
      else if (result.wakeInMs !== undefined && !this.#isStopped)
        this.#cancelTimer = this.#context.clock.schedule(result.wakeInMs, () => this.wake());
    }
    this.#running = undefined;
  }

  async #passOnce(): Promise<PassResult> {
    this.#pass = new AbortController();
    const { signal } = this.#pass;
    const pass: Pass = {
      context: this.#context,
      state: this.#state,
      signal,
      retriesNow: this.#retriesNow,
      wake: () => this.wake(),
    };
    this.#retriesNow = false;
    try {
      return await this.#decide(pass);
    } catch (error) {
      if (signal.aborted) return { again: !this.#isStopped };
      this.#options.onError(error);
      const message = `error syncing pod: ${messageOf(error)}`;
      podEvent(this.#context.recorder, this.#state.pod, { type: "Warning", reason: "FailedSync", message });
      return { again: false, wakeInMs: REPAIR_MS };
    }
  }

  async #decide(pass: Pass): Promise<PassResult> {
    const state = this.#state;
    this.#probes.see();
    if (state.isTornDown) return this.#finish(pass);
    if (state.termination === undefined && isFinished(state.pod)) beginCompletion(this.#context, state);
    writeStatus(this.#context, state);
    if (state.termination === undefined && (this.#needsRefresh || this.#tokenLeft() === 0)) this.#refresh();
    const result = state.termination === undefined ? await syncPod(pass) : await terminatePod(pass);
    this.#probes.see();
    if (!state.isTornDown) writeStatus(this.#context, state);
    return state.termination === undefined ? this.#beforeTokensAge(result) : result;
  }

  /** Nothing of the pod is on the node any more: the last status, then its removal. */
  #finish(pass: Pass): PassResult {
    writeStatus(this.#context, this.#state);
    removeFromStore(pass);
    if (this.#state.isGone) {
      removeLogs(pass);
      this.#isStopped = true;
      this.#options.onRemoved();
    }
    return { again: false };
  }

  /** Milliseconds until a token in a volume has to be replaced. */
  #tokenLeft(): number | undefined {
    const { refreshAt } = this.#state.tokens;
    return refreshAt === undefined ? undefined : Math.max(0, refreshAt - this.#context.clock.now());
  }

  #beforeTokensAge(result: PassResult): PassResult {
    const leftMs = this.#tokenLeft();
    if (leftMs === undefined) return result;
    return { ...result, wakeInMs: Math.min(leftMs, result.wakeInMs ?? leftMs, MAX_TIMER_MS) };
  }

  #refresh(): void {
    this.#needsRefresh = false;
    const { recorder } = this.#context;
    if (this.#state.volumes === undefined) return;
    for (const { volume, message } of refreshVolumes(volumeFacts(this.#context, this.#state))) {
      podEvent(recorder, this.#state.pod, {
        type: "Warning",
        reason: "FailedMount",
        message: `MountVolume.SetUp failed for volume "${volume}" : ${message}`,
      });
    }
  }
}

/** Versions of this store are numbers that grow. */
function versionOf({ metadata }: StoredPod): number {
  return Number(metadata.resourceVersion ?? 0);
}
