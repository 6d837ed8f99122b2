/** A sandbox without processes, for tests that decide themselves when a container ends. */
import type { Duplex } from "node:stream";
import type { Clock } from "../../../kernel/clock.ts";
import type { AttachedProcess, ExecProcess, ExecSpec } from "../../sandbox/process-io.ts";
import {
  type Address,
  type AdoptedPod,
  ContainerStartError,
  type ContainerSpec,
  type ExitStatus,
  type PodSandbox,
  type PodSandboxSpec,
  type ResourceUse,
  type RunningContainer,
  type Sandbox,
  type Tier,
} from "../../sandbox/sandbox.ts";
import { FakeExec } from "./fake-exec.ts";
import { FakeNetwork } from "./fake-server.ts";

const SIGKILL = 9;

/** What a container does when it is signalled: its exit code, or `undefined` to go on. SIGKILL always ends it. */
export type SignalBehaviour = (signal: number) => number | undefined;

/** One thing that happened, at monotonic milliseconds. Of the sandbox itself, the container is "". */
export interface Deed {
  readonly at: number;
  readonly pod: string;
  readonly container: string;
  /** `create`, `die`; of a container `start`, `signal N`, `end CODE`. */
  readonly what: string;
}

export class FakeContainer implements RunningContainer {
  readonly id: string;
  readonly pid = 1;
  readonly startTime = "1";
  readonly startedAt: number;
  readonly exited: Promise<ExitStatus>;
  readonly signals: number[] = [];
  readonly #clock: Clock;
  readonly #resolve: (status: ExitStatus) => void;
  readonly spec: ContainerSpec;
  readonly podName: string;
  readonly podUid: string;
  hasEnded = false;
  /** Programs that were started beside process 1, oldest first. */
  readonly execs: FakeExec[] = [];
  /** What `exec` starts. */
  onExec: (spec: ExecSpec) => ExecProcess = (spec) => {
    const started = new FakeExec(spec);
    this.execs.push(started);
    return started;
  };
  onSignal: SignalBehaviour = (signal) => 128 + signal;
  /** Writes down what happens to it. */
  note: (what: string) => void = () => {};

  constructor(clock: Clock, spec: ContainerSpec, pod: PodSandboxSpec) {
    const { promise, resolve } = Promise.withResolvers<ExitStatus>();
    this.#clock = clock;
    this.#resolve = resolve;
    this.exited = promise;
    this.spec = spec;
    this.podName = pod.name;
    this.podUid = pod.uid;
    this.id = spec.id;
    this.startedAt = clock.now();
  }

  get name(): string {
    return this.spec.name;
  }

  exit(exitCode: number, oomKilled = false): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.note(`end ${exitCode}`);
    for (const running of this.execs) running.kill(SIGKILL);
    this.#resolve({ exitCode, oomKilled, finishedAt: this.#clock.now() });
  }

  /** It ends while nobody looks, and nobody can say how. */
  lose(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.#resolve({ exitCode: 137, isLost: true, oomKilled: false, finishedAt: this.#clock.now() });
  }

  async exec(spec: ExecSpec): Promise<ExecProcess> {
    await Promise.resolve();
    if (this.hasEnded) throw new ContainerStartError("RunContainerError", "the container has ended");
    return this.onExec(spec);
  }

  attach(): AttachedProcess {
    return { resize() {}, detach() {} };
  }

  writtenBytes(): number | undefined {
    return undefined;
  }

  usage(): ResourceUse | undefined {
    return undefined;
  }

  kill(signal: number): void {
    if (this.hasEnded) return;
    this.signals.push(signal);
    this.note(`signal ${signal}`);
    const exitCode = signal === SIGKILL ? 137 : this.onSignal(signal);
    if (exitCode !== undefined) this.exit(exitCode);
  }
}

export class FakePodSandbox implements PodSandbox {
  readonly uid: string;
  readonly ip: string;
  readonly exited: Promise<void>;
  readonly spec: PodSandboxSpec;
  readonly mounts = new Set<string>();
  isDestroyed = false;
  readonly #world: FakeSandbox;
  readonly #end: () => void;

  constructor(world: FakeSandbox, spec: PodSandboxSpec, ip: string) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#world = world;
    this.spec = spec;
    this.uid = spec.uid;
    this.ip = ip;
    this.exited = promise;
    this.#end = resolve;
  }

  async startContainer(spec: ContainerSpec): Promise<RunningContainer> {
    await Promise.resolve();
    const error = this.#world.startErrors.get(spec.name);
    if (error !== undefined) throw error;
    const isTwin = this.#world.containers.some(
      (other) => other.podUid === this.uid && other.name === spec.name && !other.hasEnded,
    );
    if (isTwin) throw new Error(`Two instances of ${this.spec.name}/${spec.name}`);
    const container = new FakeContainer(this.#world.clock, spec, this.spec);
    const behaviour = this.#world.behaviours.get(spec.name);
    if (behaviour !== undefined) container.onSignal = behaviour;
    container.note = (what) => this.#world.note(this.spec.name, spec.name, what);
    container.note("start");
    this.#world.containers.push(container);
    return container;
  }

  /** The sandbox's own process dies, from outside. */
  die(): void {
    this.#world.note(this.spec.name, "", "die");
    this.#end();
  }

  mountTmpfs(path: string): void {
    if (this.mounts.has(path)) throw new Error(`Mounted twice: ${path}`);
    this.mounts.add(path);
  }

  unmount(path: string): void {
    this.mounts.delete(path);
  }

  connect(to: Address, signal: AbortSignal): Promise<Duplex> {
    return this.#world.network.connect(to, signal);
  }

  usage(): ResourceUse | undefined {
    return undefined;
  }

  async destroy(): Promise<void> {
    this.isDestroyed = true;
    for (const container of this.#world.containers)
      if (container.podUid === this.uid) container.kill(SIGKILL);
    await Promise.resolve();
    this.#end();
  }
}

function noSocket(): never {
  throw new Error("The fake sandbox makes no sockets");
}

export class FakeSandbox implements Sandbox {
  readonly tier: Tier = { name: "root", limits: [], otherUsers: false, resourceLimits: "none" };
  readonly nodeIP = "10.99.0.1";
  readonly packetFilter = Promise.resolve({ filter: undefined, limits: [] });
  readonly nodeNamespace = -1;
  /** What an earlier engine has left, by the test's will. */
  adopted: readonly AdoptedPod[] = [];
  readonly pods: FakePodSandbox[] = [];
  readonly containers: FakeContainer[] = [];
  /** Everything that happened, oldest first. */
  readonly chronicle: Deed[] = [];
  readonly behaviours = new Map<string, SignalBehaviour>();
  readonly startErrors = new Map<string, ContainerStartError>();
  /** What `connect` reaches. */
  readonly network = new FakeNetwork();
  createError: Error | undefined;
  readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  async createPod(spec: PodSandboxSpec): Promise<PodSandbox> {
    await Promise.resolve();
    if (this.createError !== undefined) throw this.createError;
    const pod = new FakePodSandbox(this, spec, `10.99.1.${this.pods.length + 1}`);
    this.pods.push(pod);
    this.note(spec.name, "", "create");
    return pod;
  }

  connect(to: Address, signal: AbortSignal): Promise<Duplex> {
    return this.network.connect(to, signal);
  }

  /** The kubelet makes no sockets of its own. */
  readonly listenTcp = noSocket;
  readonly bindUdp = noSocket;
  readonly connectUdp = noSocket;

  usage(): ResourceUse {
    return { cpuNanoseconds: 0, memoryBytes: 0, measuredAt: this.clock.now() };
  }

  /** For the kubelet that comes next: what runs now, as it has been started. */
  keep(): void {
    this.adopted = this.pods
      .filter(({ isDestroyed }) => !isDestroyed)
      .map((sandbox) => ({
        spec: sandbox.spec,
        sandbox,
        tmpfs: [...sandbox.mounts],
        containers: this.containers
          .filter(({ podUid, hasEnded }) => podUid === sandbox.uid && !hasEnded)
          .map((running) => ({ spec: running.spec, running })),
      }));
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  note(pod: string, container: string, what: string): void {
    this.chronicle.push({ at: this.clock.monotonic(), pod, container, what });
  }

  alive(podName: string, name: string): FakeContainer | undefined {
    return this.containers.find(
      (container) => container.podName === podName && container.name === name && !container.hasEnded,
    );
  }

  /** `pod/container` of everything that runs, in the order of starting. */
  running(): string[] {
    return this.containers
      .filter(({ hasEnded }) => !hasEnded)
      .map(({ podName, name }) => `${podName}/${name}`);
  }
}
