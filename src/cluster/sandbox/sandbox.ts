/** The contract of the sandbox: pods as namespaces, containers as processes in them. The only room that spawns. */
import type { Duplex } from "node:stream";
import type { RootFs } from "../images/image.ts";
import type { PacketFilter } from "../net/packet-filter.ts";
import type { AttachedProcess, AttachSpec, ExecProcess, ExecSpec } from "./process-io.ts";

/** What this machine lets us do; found once by the probe. */
export interface Tier {
  readonly name: "root" | "rootless-subuid" | "rootless-1-id" | "restricted" | "none";
  /** Sentences for people: what this tier cannot do, and what would allow it. Empty for `root`. */
  readonly limits: readonly string[];
  /** Containers may run as other users than the engine's. */
  readonly otherUsers: boolean;
  /** Who enforces limits of memory, CPU and processes; `none` = nobody, and an event has to say so. */
  readonly resourceLimits: "cgroup-v1" | "cgroup-v2" | "none";
}

/** Numbers as the kernel takes them; what is absent is not limited. */
export interface ResourceLimits {
  /** Bytes. */
  readonly memory?: number;
  /** Microseconds of one CPU in each 100 ms. */
  readonly cpuQuota?: number;
  /** `cpu.shares` of cgroup v1, 2 to 262144. */
  readonly cpuShares?: number;
}

/** What a container or pod uses at this moment. */
export interface ResourceUse {
  /** Since its start, over all CPUs. */
  readonly cpuNanoseconds: number;
  /** Bytes that cannot be reclaimed at once (`working set`). */
  readonly memoryBytes: number;
  /** Unix milliseconds. */
  readonly measuredAt: number;
}

export interface Mount {
  /** Folder, file or socket on the engine's side; absent for `tmpfs`. */
  readonly source?: string;
  /** Absolute path in the container. Resolved inside the container's root: symlinks of the image cannot lead out. */
  readonly target: string;
  readonly kind: "bind" | "tmpfs";
  readonly readOnly: boolean;
  /** With `readOnly`: what is mounted inside the source is read-only, too. */
  readonly recursiveReadOnly?: boolean;
  /** Path below `source`, checked to stay inside it at mount time (no symlink escape). */
  readonly subPath?: string;
  /** `tmpfs` only: bytes. */
  readonly sizeLimit?: number;
}

export interface PodSandboxSpec {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** Kernel host name, at most 64 bytes. */
  readonly hostname: string;
  /** Joins the node's network namespace (never this machine's). */
  readonly hostNetwork: boolean;
  /** `shareProcessNamespace`: the sandbox's own process is process 1 of all containers and reaps their orphans. */
  readonly sharesProcesses?: boolean;
  /** `sysctls` of the pod's namespaces, already allowed. */
  readonly sysctls?: readonly { readonly name: string; readonly value: string }[];
  /** Decides where the pod's cgroup lies. */
  readonly qosClass?: "Guaranteed" | "Burstable" | "BestEffort";
  /** Of the pod as a whole. */
  readonly resources?: ResourceLimits;
}

export interface ContainerSpec {
  readonly name: string;
  /** 64 hexadecimal digits, new for every start. */
  readonly id: string;
  readonly rootfs: RootFs;
  /** Already expanded; `argv[0]` is looked up in the container's PATH when it has no slash. */
  readonly argv: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  /** Made when missing. */
  readonly workingDir: string;
  /** `USER[:GROUP]` names are resolved against the container's /etc/passwd and /etc/group. */
  readonly user: {
    readonly user: string;
    readonly group?: string;
    readonly supplementalGroups: readonly number[];
    /** Which of the first two the image says, not the pod; for messages. */
    readonly ofImage?: readonly ("user" | "group")[];
    /** The image works as any user: root of the container will do where its user does not exist. */
    readonly isOptional?: boolean;
    /** Groups that list the user in the container's /etc/group come on top, unless `Strict` (KEP-3619). @default {"Merge"} */
    readonly supplementalGroupsPolicy?: "Merge" | "Strict";
  };
  /** Capability names without `CAP_`, relative to the runtime's default set; `ALL` works. */
  readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
  readonly noNewPrivileges: boolean;
  readonly readOnlyRootFilesystem: boolean;
  /** All capabilities and devices, no masks. The caller has checked that the cluster allows it. */
  readonly privileged: boolean;
  /** Who the kernel ends first when memory runs out (proc(5)); 1000, the kubelet's value for BestEffort, by default. */
  readonly oomScoreAdj?: number;
  /** System calls that no ordinary program needs are refused (`seccompProfile: RuntimeDefault`). */
  readonly seccomp?: "RuntimeDefault" | "Unconfined";
  readonly resources?: ResourceLimits;
  /** Standard input stays open for `attach`; without it the program reads from /dev/null. */
  readonly stdin?: boolean;
  /** Standard input ends when the first that attached to it goes away. */
  readonly stdinOnce?: boolean;
  /** Standard input, output and error are one terminal. */
  readonly tty?: boolean;
  /** Id of a running container of the pod whose process namespace this one joins (`targetContainerName`). */
  readonly processesOf?: string;
  /** In the order of the pod; nested targets are mounted parent first. */
  readonly mounts: readonly Mount[];
  /** Kept with the container, for the kubelet that adopts it (annotations of the CRI). */
  readonly annotations?: Readonly<Record<string, string>>;
  /** CRI log file to append to: `<RFC3339Nano> stdout|stderr F|P <text>`. */
  readonly logPath: string;
}

export interface ExitStatus {
  /** Nobody knows how it ended, and `exitCode` is made up: it ended while no engine ran. */
  readonly isLost?: true;
  /** 0–255; 128 + signal when a signal ended it. */
  readonly exitCode: number;
  readonly signal?: number;
  readonly oomKilled: boolean;
  /** Unix milliseconds. */
  readonly finishedAt: number;
}

/** Who a process is, by number. */
export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly supplementalGroups: readonly number[];
}

export interface RunningContainer {
  readonly id: string;
  readonly pid: number;
  /** Who it was started as; its processes may have changed since. */
  readonly user?: ProcessUser;
  /** Field 22 of /proc/PID/stat: with the pid it names the process for good. */
  readonly startTime: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Resolves once the process has ended AND its log is drained to `logPath`. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** Signal to the container's process 1; SIGKILL ends the whole container. Ended containers are ignored. */
  kill(signal: number): void;
  /** Rejects with `ContainerStartError`, also when the container has ended. */
  exec(spec: ExecSpec): Promise<ExecProcess>;
  /**
   * Output from now on; what was before is in the log. Only the first that attaches to a container with `stdin`, within seconds
   * of its start, gets what came before, too. Throws when the container has ended.
   */
  attach(spec: AttachSpec): AttachedProcess;
  /** `undefined` when it has ended or cannot be measured. */
  usage(): ResourceUse | undefined;
  /** Bytes it has written to its own root, outside of volumes; `undefined` when it has ended. */
  writtenBytes(): number | undefined;
}

/** A container that could not be started. `code` 128 = the kernel refused to run argv (StartError). */
export class ContainerStartError extends Error {
  readonly reason: "StartError" | "CreateContainerError" | "RunContainerError" | "CreateContainerConfigError";

  constructor(reason: ContainerStartError["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ContainerStartError";
    this.reason = reason;
  }
}

export interface Address {
  /** IPv4, in digits. */
  readonly ip: string;
  readonly port: number;
}

export interface PodSandbox {
  readonly uid: string;
  /** The pod's address; the node's for hostNetwork. */
  readonly ip: string;
  /** Resolves when the sandbox's own process has ended, whoever ended it. */
  readonly exited: Promise<void>;
  /** Rejects with `ContainerStartError`. */
  startContainer(spec: ContainerSpec): Promise<RunningContainer>;
  /** Mounts a tmpfs at a folder on the engine's side (memory volumes, secrets); gone with the engine's mount namespace. */
  mountTmpfs(path: string, options: { readonly sizeLimit?: number; readonly mode: number }): void;
  unmount(path: string): void;
  /**
   * Connects from inside the pod's network namespace, as its own processes would. Rejects with an error that has the
   * kernel's `code` (ECONNREFUSED, ETIMEDOUT, ...), or when the signal aborts.
   */
  connect(to: Address, signal: AbortSignal): Promise<Duplex>;
  /** `undefined` when it cannot be measured. */
  usage(): ResourceUse | undefined;
  /** Kills what is left, removes network and mounts. Idempotent. */
  destroy(): Promise<void>;
}

/** A container that an earlier engine started. It may have ended since; `running.exited` says so. */
export interface AdoptedContainer {
  readonly spec: ContainerSpec;
  readonly running: RunningContainer;
}

/** A pod that an earlier engine started, and that went on without one. */
export interface AdoptedPod {
  readonly spec: PodSandboxSpec;
  readonly sandbox: PodSandbox;
  /** Folders where `mountTmpfs` has mounted one. */
  readonly tmpfs: readonly string[];
  readonly containers: readonly AdoptedContainer[];
}

export interface FoundPacketFilter {
  /** Undefined where there is none. */
  readonly filter: PacketFilter | undefined;
  /** What cannot be done without one, as in `Tier`. */
  readonly limits: readonly string[];
}

export interface Sandbox {
  readonly tier: Tier;
  /** The node's own address on the pod network. */
  readonly nodeIP: string;
  /** A descriptor of the node's network namespace, good until `close`. Nobody enters it who runs JavaScript. */
  readonly nodeNamespace: number;
  /** Never rejects. It is being looked for when the sandbox opens, while others do what needs none. */
  readonly packetFilter: Promise<FoundPacketFilter>;
  /** Found when it was opened; whoever has no use for one destroys it. */
  readonly adopted: readonly AdoptedPod[];
  createPod(spec: PodSandboxSpec): Promise<PodSandbox>;
  /** Connects from the node, which is where probes come from. Rejects as `PodSandbox.connect` does. */
  connect(to: Address, signal: AbortSignal): Promise<Duplex>;
  /**
   * A descriptor that listens on the node: its address on the pod network or any address of a Service. Who adopts it closes
   * it. Throws an error with the kernel's `code` (EADDRINUSE, EADDRNOTAVAIL, ...).
   */
  listenTcp(at: Address): number;
  /** The same for datagrams. */
  bindUdp(at: Address): number;
  /** A descriptor for datagrams between the node and one address. */
  connectUdp(to: Address): number;
  /** Of all pods together. */
  usage(): ResourceUse;
  /** Leaves the pods running, for the next engine; without pods, or in a sandbox that does not keep them, the same as `close`. */
  release(): Promise<void>;
  /** Ends all pods and the node's namespaces. Idempotent. */
  close(): Promise<void>;
}
