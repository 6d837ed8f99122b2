/** A pod as the kernel sees it: namespaces that its containers share, a cable to the node, and what must go with it. */
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { Clock } from "../../kernel/clock.ts";
import { messageOf } from "../../kernel/problem.ts";
import { formatIpv4 } from "../../lib/ipv4.ts";
import type { ProcessIdentity } from "../../lib/process-identity.ts";
import type { Cgroups, ContainerCgroup, MeasuredUse, PodCgroup } from "./cgroups/open-cgroups.ts";
import { type ContainerRuntime, namespacesOf } from "./container.ts";
import type { ProcessExit } from "./exits.ts";
import { type FdStore, findFdStore, openFdStore } from "./fd-store.ts";
import { type ContainerDetails, keptDetails } from "./kept-details.ts";
import type { Kept, KeptPods } from "./kept-pods.ts";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { buildPodNetwork, type NetworkRanges, nodeAddress } from "./network.ts";
import type { AddressLease, AddressPool } from "./network-addresses.ts";
import { followHolder, type Holder, type HolderTools, startHolder } from "./pod-sandbox-holder.ts";
import type { Program } from "./program.ts";
import {
  type AdoptedContainer,
  type AdoptedPod,
  type Address,
  type ContainerSpec,
  ContainerStartError,
  type PodSandbox,
  type PodSandboxSpec,
  type ResourceUse,
  type RunningContainer,
} from "./sandbox.ts";
import { mountedSharedMemory, mountSharedMemory, type SharedMemory } from "./shared-memory.ts";
import type { SocketFactory } from "./socket-factory.ts";

export interface PodTools extends HolderTools {
  readonly ranges: NetworkRanges;
  readonly addresses: AddressPool;
  /** The node's network namespace, open in the engine. */
  readonly nodeNetns: number;
  /** Pods reach everything through the node. */
  readonly isRouted: boolean;
  readonly containers: ContainerRuntime;
  readonly cgroups: Cgroups;
  readonly clock: Clock;
  readonly sockets: SocketFactory;
  /** Where the pods' /dev/shm are mounted. */
  readonly sharedMemoryFolder: string;
  /** Pods outlive the engine. */
  readonly keepsPods: boolean;
  /** Called once a pod is gone. */
  readonly onDestroyed: (pod: PodSandbox) => void;
}

/** Makes a pod without containers, in about 2 ms. Throws a Problem or `LaunchError`, and then leaves nothing. */
export function createPodSandbox(tools: PodTools, spec: PodSandboxSpec): PodSandbox {
  const lease = spec.hostNetwork ? undefined : tools.addresses.take();
  let cgroup: PodCgroup | undefined;
  let sharedMemory: SharedMemory | undefined;
  let store: FdStore | undefined;
  try {
    if (tools.keepsPods) store = openFdStore(tools.launcher);
    cgroup = tools.cgroups.pod(spec);
    sharedMemory = mountSharedMemory(tools.launcher, join(tools.sharedMemoryFolder, spec.uid));
    const holder = startHolder(tools, {
      flags:
        linux.CLONE_NEWIPC |
        linux.CLONE_NEWUTS |
        (spec.sharesProcesses === true ? linux.CLONE_NEWPID : 0) |
        (lease === undefined ? 0 : linux.CLONE_NEWNET),
      build: (program) => buildPod(program, tools, { spec, lease }),
      what: `pod ${spec.namespace}/${spec.name} (${spec.uid})`,
      cgroup: cgroup.holder,
      details: { kind: "pod", spec, ...(lease === undefined ? {} : { address: lease.address }) },
      ends: store?.ends,
    });
    return new KernelPod(tools, { spec, holder, lease, cgroup, sharedMemory, store });
  } catch (error) {
    store?.close();
    sharedMemory?.remove();
    cgroup?.remove();
    if (lease !== undefined) tools.addresses.free(lease.address);
    throw error;
  }
}

/** How the end of a process is learned that is not the engine's child. */
export type FollowExit = (identity: ProcessIdentity) => Promise<ProcessExit>;

/** Goes on with a pod that an earlier engine has made. Throws when its control group cannot be had. */
export function adoptPodSandbox(
  tools: PodTools,
  {
    identity,
    details,
    containers,
    tmpfs,
    follow,
  }: KeptPods["pods"][number] & {
    readonly tmpfs: readonly string[];
    readonly follow: FollowExit;
  },
): AdoptedPod {
  const { spec, address } = details;
  if (address !== undefined) tools.addresses.adopt(address);
  const holder = followHolder(tools, identity, follow(identity));
  const store = findFdStore(tools.launcher, identity.pid, [0, 1]);
  const sandbox = new KernelPod(tools, {
    spec,
    holder,
    lease: address === undefined ? undefined : { address, reused: true },
    cgroup: tools.cgroups.pod(spec),
    sharedMemory: mountedSharedMemory(tools.launcher, join(tools.sharedMemoryFolder, spec.uid)),
    store,
  });
  return { spec, sandbox, tmpfs, containers: sandbox.adopt(containers, tmpfs, follow) };
}

interface PodParts {
  readonly spec: PodSandboxSpec;
  /** Absent for hostNetwork. */
  readonly lease: AddressLease | undefined;
}

function buildPod(program: Program, tools: PodTools, { spec, lease }: PodParts): void {
  const { ranges, nodeNetns, isRouted } = tools;
  program.call("sethostname", [spec.hostname, Buffer.byteLength(spec.hostname)], { name: "sethostname()" });
  if (lease === undefined) {
    program.call("setns", [nodeNetns, linux.CLONE_NEWNET], { name: "setns(node)" });
  } else {
    buildPodNetwork(program, { ranges, nodeNetns, isRouted, ...lease });
  }
  for (const sysctl of spec.sysctls ?? []) setSysctl(program, sysctl);
}

/** The kernel shows every process the settings of its own namespaces. */
function setSysctl(program: Program, { name, value }: NonNullable<PodSandboxSpec["sysctls"]>[number]): void {
  const path = name.replaceAll(/[./]/g, (char) => (char === "." ? "/" : "."));
  const what = { name: `sysctl ${name}=${value}` };
  const file = program.slot();
  const flags = linux.O_WRONLY | linux.O_CLOEXEC;
  program
    .call("openat", [linux.AT_FDCWD, `/proc/sys/${path}`, flags, 0], { ...what, save: file })
    .call("write", [file, value, Buffer.byteLength(value)], what)
    .call("close", [file]);
}

interface KernelPodParts extends PodParts {
  readonly holder: Holder;
  readonly cgroup: PodCgroup;
  readonly sharedMemory: SharedMemory;
  /** Where pods are kept: holds the pipes of their containers. */
  readonly store: FdStore | undefined;
}

class KernelPod implements PodSandbox {
  readonly uid: string;
  readonly ip: string;
  readonly exited: Promise<void>;
  readonly #tools: PodTools;
  readonly #parts: KernelPodParts;
  readonly #running = new Set<RunningContainer>();
  readonly #starting = new Set<Promise<unknown>>();
  readonly #mounts = new Set<string>();
  #destroyed: Promise<void> | undefined;

  constructor(tools: PodTools, parts: KernelPodParts) {
    this.#tools = tools;
    this.#parts = parts;
    this.uid = parts.spec.uid;
    this.ip = formatIpv4(parts.lease?.address ?? nodeAddress(tools.ranges));
    this.exited = parts.holder.exited;
  }

  async startContainer(spec: ContainerSpec): Promise<RunningContainer> {
    this.#refuseWhenDestroyed(spec);
    if (!this.#tools.exits.isRunning(this.#parts.holder.pid)) throw this.#isGone(spec, "has ended");
    const start = this.#startRecorded(spec);
    this.#starting.add(start);
    try {
      // The pod may have been destroyed meanwhile; destroy() waits for this, then ends the container.
      return await start;
    } finally {
      this.#starting.delete(start);
    }
  }

  async #startRecorded(spec: ContainerSpec): Promise<RunningContainer> {
    const { containers, records, keepsPods } = this.#tools;
    const { holder, sharedMemory, store } = this.#parts;
    const container = await containers.start(spec, {
      namespaces: namespacesOf(holder.pid, this.#processesFor(spec)),
      cgroup: this.#cgroupFor(spec),
      sharedMemory: sharedMemory.path,
      store,
    });
    this.#running.add(container);
    let identity: ProcessIdentity | undefined;
    try {
      const details: ContainerDetails = { kind: "container", podUid: this.uid, ...container.details };
      const what = `container ${spec.name} of pod ${this.uid}`;
      identity = records.add(container.pid, what, keepsPods ? keptDetails(details) : undefined);
    } catch (cause) {
      container.kill(linux.SIGKILL);
      throw new ContainerStartError("RunContainerError", messageOf(cause), { cause });
    } finally {
      void this.#forgetAtExit(container, identity);
    }
    return container;
  }

  /** Goes on with the containers of an earlier engine. To be called once, at first. */
  adopt(
    kept: readonly Kept<ContainerDetails>[],
    tmpfs: readonly string[],
    follow: FollowExit,
  ): AdoptedContainer[] {
    for (const path of tmpfs) this.#mounts.add(path);
    const { store, sharedMemory } = this.#parts;
    const recovered = store?.recover() ?? new Map<string, readonly number[]>();
    return kept.map(({ identity, details }) => {
      const running = this.#tools.containers.adopt(
        { identity, details, recovered, ended: follow(identity) },
        { cgroup: this.#cgroupFor(details.spec), sharedMemory: sharedMemory.path, store },
      );
      this.#running.add(running);
      void this.#forgetAtExit(running, identity);
      return { spec: details.spec, running };
    });
  }

  /** In whose process namespace the container is; undefined for one of its own. */
  #processesFor({ name, processesOf }: ContainerSpec): number | undefined {
    const { spec, holder } = this.#parts;
    if (spec.sharesProcesses === true) return holder.pid;
    if (processesOf === undefined) return undefined;
    for (const { id, pid } of this.#running)
      if (id === processesOf && this.#tools.exits.isRunning(pid)) return pid;
    const message = `failed to create container "${name}": invalid target container: container "${processesOf}" is not running`;
    throw new ContainerStartError("CreateContainerError", message);
  }

  #cgroupFor({ name, id, resources }: ContainerSpec): ContainerCgroup {
    try {
      return this.#parts.cgroup.container(id, resources);
    } catch (cause) {
      const message = `failed to create container "${name}": ${messageOf(cause)}`;
      throw new ContainerStartError("CreateContainerError", message, { cause });
    }
  }

  async #forgetAtExit(container: RunningContainer, identity: ProcessIdentity | undefined): Promise<void> {
    await container.exited;
    this.#running.delete(container);
    if (identity !== undefined) this.#tools.records.remove(identity);
  }

  mountTmpfs(
    path: string,
    { sizeLimit, mode }: { readonly sizeLimit?: number; readonly mode: number },
  ): void {
    const size = sizeLimit === undefined ? "" : `,size=${Math.max(1, Math.ceil(sizeLimit))}`;
    const options = `mode=${mode.toString(8)}${size}`;
    const mount = (text: string) =>
      this.#tools.launcher.tryCall("mount", ["tmpfs", path, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, text]);
    // Kernels before 6.4 and user namespaces do not know how to keep it out of the swap space.
    if (mount(`${options},noswap`) < 0)
      this.#tools.launcher.call("mount", ["tmpfs", path, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options]);
    this.#mounts.add(path);
  }

  unmount(path: string): void {
    unmount(this.#tools.launcher, path);
    this.#mounts.delete(path);
  }

  async connect(to: Address, signal: AbortSignal): Promise<Duplex> {
    const { pid } = this.#parts.holder;
    // Asked in the turn in which the pid is used: until it is reaped it cannot be somebody else's.
    if (!this.#tools.exits.isRunning(pid)) {
      const { namespace, name } = this.#parts.spec;
      const error = new Error(`Cannot connect: the sandbox of pod "${namespace}/${name}" has ended`);
      throw Object.assign(error, { code: "ENETDOWN" });
    }
    return this.#tools.sockets.connect({ netns: `/proc/${pid}/ns/net`, to, signal });
  }

  usage(): ResourceUse | undefined {
    const containers = [...this.#running].flatMap((container) => container.usage() ?? []);
    return { ...(this.#parts.cgroup.usage() ?? sumOf(containers)), measuredAt: this.#tools.clock.now() };
  }

  destroy(): Promise<void> {
    this.#destroyed ??= this.#destroy();
    return this.#destroyed;
  }

  async #destroy(): Promise<void> {
    await Promise.allSettled(this.#starting);
    const ends = [...this.#running].map((container) => {
      container.kill(linux.SIGKILL);
      return container.exited;
    });
    await Promise.all(ends);
    // Newest first: one may lie inside another.
    for (const path of [...this.#mounts].toReversed()) this.unmount(path);
    const { holder, lease, cgroup, sharedMemory, store } = this.#parts;
    sharedMemory.remove();
    await holder.stop();
    cgroup.remove();
    store?.close();
    if (lease !== undefined) this.#tools.addresses.free(lease.address);
    this.#tools.onDestroyed(this);
  }

  #refuseWhenDestroyed(spec: ContainerSpec): void {
    if (this.#destroyed !== undefined) throw this.#isGone(spec, "is being removed");
  }

  #isGone({ name }: ContainerSpec, what: string): ContainerStartError {
    const { namespace, name: pod } = this.#parts.spec;
    return new ContainerStartError(
      "CreateContainerError",
      `failed to create container "${name}": the sandbox of pod "${namespace}/${pod}" ${what}`,
    );
  }
}

/** Of containers or pods together. */
export function sumOf(uses: readonly MeasuredUse[]): MeasuredUse {
  return {
    cpuNanoseconds: uses.reduce((sum, { cpuNanoseconds }) => sum + cpuNanoseconds, 0),
    memoryBytes: uses.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
  };
}

/** Detaches at once, also while something in it is in use. What is not mounted any more is no error. */
function unmount(launcher: Launcher, path: string): void {
  const ENOENT = -2;
  const EINVAL = -22;
  const result = launcher.tryCall("umount2", [path, linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW]);
  if (result < 0 && result !== ENOENT && result !== EINVAL) {
    launcher.call("umount2", [path, linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW]);
  }
}
