/** The cluster's tree of control groups: made when the sandbox opens, one group per pod and container, gone when it closes. */
import { messageOf } from "../../../kernel/problem.ts";
import type { PodSandboxSpec, ResourceLimits, ResourceUse } from "../sandbox.ts";
import type { CgroupDriver, CgroupView, GroupLimits, Setting } from "./cgroup-driver.ts";
import type { CgroupFiles } from "./cgroup-files.ts";
import type { CgroupChoice } from "./choose-cgroups.ts";
import { hurried, MAX_SHARES, unhurried } from "./hurry.ts";
import { removeTree } from "./remove-tree.ts";
import { v1Driver } from "./v1-driver.ts";
import { v2Driver } from "./v2-driver.ts";
import { prepareParent, restoreParent, type V2Parent } from "./v2-parent.ts";

/** Processes and threads of one container, when the kernel has room for more: contains a fork bomb, bothers no server. */
const MAX_PIDS = 4096;
/** `cpu.shares` of one CPU. */
const SHARES_PER_CPU = 1024;
const MIN_SHARES = 2;

export interface ContainerCgroup {
  /** Files that a process writes `0` to in order to be in the group. */
  readonly joins: readonly string[];
  /** What it may see of itself; nothing where there are no groups. */
  readonly views: readonly CgroupView[];
  /**
   * Runs `start`, in which a process that still shares the engine's memory joins a group that others are in. Meanwhile an OOM kill
   * takes one process only: of a whole group it would take that one too, and with its memory the engine. The group has no limit of
   * processor time then, and the weight of the heaviest: the engine waits, and with it every other pod.
   */
  whileJoining<T>(start: () => T): T;
  usage(): MeasuredUse | undefined;
  /** The kernel has ended a process of it for want of memory. */
  hasOomKills(): boolean;
  /** To be called before a SIGKILL: processes need time on the processor to die, and thousands of them may have next to none. */
  hurry(): void;
  /** SIGKILL to everything in it. */
  kill(): void;
  /** Where processes are left in it, it stays, for the pod to remove. */
  remove(): void;
}

export type MeasuredUse = Omit<ResourceUse, "measuredAt">;

export interface PodCgroup {
  /** For the process that holds the pod's namespaces. */
  readonly holder: ContainerCgroup;
  /** Makes it, or finds it as an earlier engine made it. Throws the kernel's error. */
  container(id: string, limits?: ResourceLimits): ContainerCgroup;
  usage(): MeasuredUse | undefined;
  /** Kills what is left in it. Idempotent. */
  remove(): void;
}

export interface Cgroups {
  readonly kind: CgroupChoice["kind"];
  /** Sentences for people: what is not enforced, why, and what would change that. */
  readonly limits: readonly string[];
  /** Makes the pod's group, or finds it. Throws the kernel's error. */
  pod(spec: Pick<PodSandboxSpec, "uid" | "qosClass" | "resources">): PodCgroup;
  /** Of all pods together; `undefined` when nobody counts. */
  usage(): MeasuredUse | undefined;
  /** Takes the tree away, except groups in which processes live on. Idempotent. */
  close(): void;
}

export interface CgroupTreeOptions {
  readonly files: CgroupFiles;
  readonly choice: CgroupChoice;
  /** Name of the cluster's own group. */
  readonly name: string;
  readonly cpus: number;
  /** Most processes that the machine can have. */
  readonly maxPids: number;
  readonly killProcess: (pid: number) => void;
  /** Told of the folders of the cluster's own group before they are made. */
  readonly onFolders: (folders: readonly string[]) => void;
}

/** Never throws: where groups cannot be made there are none, and `limits` says why. */
export function openCgroupTree(options: CgroupTreeOptions): Cgroups {
  const { choice } = options;
  if (choice.kind === "none") return noCgroups(choice);
  const tree = new Tree(options, choice);
  try {
    tree.build();
    return tree;
  } catch (error) {
    tree.close();
    return noCgroups({ because: messageOf(error), fix: "run as root (`sudo`)" });
  }
}

/** Without control groups nothing is limited and nothing is counted. */
export function noCgroups({ because, fix }: { readonly because: string; readonly fix: string }): Cgroups {
  const container: ContainerCgroup = {
    joins: [],
    views: [],
    whileJoining: (start) => start(),
    usage: () => undefined,
    hasOomKills: () => false,
    hurry() {},
    kill() {},
    remove() {},
  };
  return {
    kind: "none",
    limits: [`Memory and CPU limits of containers are not enforced: ${because}. To have them, ${fix}.`],
    pod: () => ({ holder: container, container: () => container, usage: () => undefined, remove() {} }),
    usage: () => undefined,
    close() {},
  };
}

/** Where pods of each class are, as the kubelet has them. */
const CLASS_GROUPS = {
  Guaranteed: "kubepods",
  Burstable: "kubepods/burstable",
  BestEffort: "kubepods/besteffort",
} as const;

/** The groups from the class to the container, with their limits as they are now. */
type Chain = () => readonly (readonly [path: string, limits: GroupLimits])[];

interface ContainerParts {
  readonly limits: GroupLimits;
  readonly chain: Chain;
  readonly onRemoved: () => void;
}

class Tree implements Cgroups {
  readonly kind: "cgroup-v1" | "cgroup-v2";
  readonly limits: readonly string[];
  readonly #options: CgroupTreeOptions;
  readonly #driver: CgroupDriver;
  readonly #parent: V2Parent | undefined;
  /** Shares of Burstable pods by uid: their class gets the sum. */
  readonly #burstable = new Map<string, number>();

  constructor(options: CgroupTreeOptions, choice: Exclude<CgroupChoice, { readonly kind: "none" }>) {
    const { files, name } = options;
    this.#options = options;
    this.kind = choice.kind;
    this.limits = missingControllers(choice);
    this.#driver = driverOf(files, choice, name);
    this.#parent = choice.kind === "cgroup-v2" ? choice : undefined;
  }

  /** Throws the kernel's error, and may then have made a part of it. */
  build(): void {
    const { files, cpus, onFolders } = this.#options;
    onFolders(this.#driver.folders(""));
    if (this.#parent !== undefined) prepareParent(files, this.#parent);
    // Many containers, and those that may write to their own groups, leave the machine some, too.
    this.make("", { cpuShares: clampShares(cpus * SHARES_PER_CPU), pids: this.#pids(3 / 4) }, true);
    for (const qosClass of ["Guaranteed", "Burstable", "BestEffort"] as const)
      this.make(...this.#classOf(qosClass), true);
  }

  pod({ uid, qosClass = "BestEffort", resources = {} }: Parameters<Cgroups["pod"]>[0]): PodCgroup {
    const path = `${CLASS_GROUPS[qosClass]}/pod${uid}`;
    this.make(path, { ...resources, pids: this.#pids(1 / 2) }, true);
    if (qosClass === "Burstable") this.#setBurstable(uid, resources.cpuShares ?? MIN_SHARES);
    const containers = new Set<string>();
    const container = (id: string, limits: GroupLimits): ContainerCgroup => {
      containers.add(id);
      const chain: Chain = () => [this.#classOf(qosClass), [path, resources], [`${path}/${id}`, limits]];
      return this.#container(`${path}/${id}`, { limits, chain, onRemoved: () => containers.delete(id) });
    };
    return {
      holder: container("sandbox", {}),
      container: (id, limits = {}) =>
        container(id, {
          cpuShares: MIN_SHARES,
          ...limits,
          pids: Math.min(MAX_PIDS, this.#pids(1 / 2)),
          oomGroup: true,
        }),
      usage: () => this.#usage(path),
      remove: () => {
        for (const id of containers) {
          this.#driver.kill(`${path}/${id}`, this.#options.killProcess);
          this.#remove(`${path}/${id}`);
        }
        this.#remove(path);
        if (qosClass === "Burstable") this.#setBurstable(uid, undefined);
      },
    };
  }

  usage(): MeasuredUse | undefined {
    return this.#usage("kubepods");
  }

  close(): void {
    const { files } = this.#options;
    for (const folder of this.#driver.folders("")) removeTree(files, folder);
    if (this.#parent !== undefined) restoreParent(files, this.#parent);
  }

  make(path: string, limits: GroupLimits, isInner: boolean): void {
    const { files } = this.#options;
    for (const folder of this.#driver.folders(path)) files.makeFolder(folder);
    if (isInner) writeAll(files, this.#driver.inner(path));
    writeAll(files, this.#driver.settings(path, limits));
  }

  #container(path: string, { limits, chain, onRemoved }: ContainerParts): ContainerCgroup {
    this.make(path, limits, false);
    return {
      joins: this.#driver.folders(path).map((folder) => `${folder}/cgroup.procs`),
      views: this.#driver.views(path),
      whileJoining: (start) => {
        const groups = chain();
        for (const [group, own] of groups) this.#setQuietly(group, hurried(own));
        try {
          return start();
        } finally {
          for (const [group, own] of groups) this.#setQuietly(group, unhurried(own));
        }
      },
      usage: () => this.#usage(path),
      hasOomKills: () => this.#driver.oomKills(path) > 0,
      hurry: () => {
        for (const [group, own] of chain().slice(1)) this.#setQuietly(group, hurried(own));
      },
      kill: () => this.#driver.kill(path, this.#options.killProcess),
      remove: () => {
        if (this.#remove(path)) onRemoved();
        for (const [group, own] of chain().slice(1)) this.#setQuietly(group, unhurried(own));
      },
    };
  }

  #pids(part: number): number {
    return Math.max(1, Math.floor(this.#options.maxPids * part));
  }

  #usage(path: string): MeasuredUse | undefined {
    const cpuNanoseconds = this.#driver.cpuNanoseconds(path);
    const memoryBytes = this.#driver.memoryBytes(path);
    return cpuNanoseconds === undefined || memoryBytes === undefined
      ? undefined
      : { cpuNanoseconds, memoryBytes };
  }

  /** False when processes keep a part of it. */
  #remove(path: string): boolean {
    const removed = this.#driver.folders(path).map((folder) => this.#options.files.removeFolder(folder));
    return removed.every(Boolean);
  }

  /** As the kubelet's QOS container manager: the class weighs as much as its pods. */
  #setBurstable(uid: string, shares: number | undefined): void {
    if (shares === undefined) this.#burstable.delete(uid);
    else this.#burstable.set(uid, shares);
    this.#setQuietly(...this.#classOf("Burstable"));
  }

  #classOf(qosClass: keyof typeof CLASS_GROUPS): readonly [path: string, limits: GroupLimits] {
    const sum = [...this.#burstable.values()].reduce((total, one) => total + one, 0);
    const shares = {
      Guaranteed: this.#options.cpus * SHARES_PER_CPU,
      Burstable: sum,
      BestEffort: MIN_SHARES,
    };
    return [CLASS_GROUPS[qosClass], { cpuShares: clampShares(shares[qosClass]) }];
  }

  #setQuietly(path: string, limits: GroupLimits): void {
    try {
      writeAll(this.#options.files, this.#driver.settings(path, limits));
    } catch {
      // The group is gone already.
    }
  }
}

function driverOf(
  files: CgroupFiles,
  choice: Exclude<CgroupChoice, { readonly kind: "none" }>,
  name: string,
): CgroupDriver {
  if (choice.kind === "cgroup-v2")
    return v2Driver(files, { base: `${choice.parent}/${name}`, controllers: choice.controllers });
  const bases = Object.entries(choice.hierarchies).map(([controller, folder]) => [
    controller,
    `${folder}/${name}`,
  ]);
  return v1Driver(files, Object.fromEntries(bases));
}

function missingControllers(choice: Exclude<CgroupChoice, { readonly kind: "none" }>): readonly string[] {
  const has = choice.kind === "cgroup-v2" ? choice.controllers : Object.keys(choice.hierarchies);
  const missing = [
    ["cpu", "CPU limits of containers are"],
    ["pids", "Limits of the number of processes are"],
  ].filter(([controller = ""]) => !has.includes(controller));
  return missing.map(
    ([controller, what]) =>
      `${what} not enforced: the controller "${controller}" of control groups cannot be used here.`,
  );
}

function writeAll(files: CgroupFiles, settings: readonly Setting[]): void {
  for (const { file, value, isOptional = false } of settings) {
    if (isOptional && files.read(file) === undefined) continue;
    try {
      files.write(file, value);
    } catch (error) {
      const name = file.slice(file.lastIndexOf("/") + 1);
      throw new Error(`Cannot set "${name}" to ${value}: ${messageOf(error)}`, { cause: error });
    }
  }
}

function clampShares(shares: number): number {
  return Math.min(MAX_SHARES, Math.max(MIN_SHARES, shares));
}
