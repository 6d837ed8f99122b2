/** What the two versions of control groups have in common: one tree of groups, limits that are files, counters that are files. */
import type { ResourceLimits } from "../sandbox.ts";
import type { CgroupFiles } from "./cgroup-files.ts";

/** A value for a file of one group. */
export interface Setting {
  readonly file: string;
  readonly value: string;
  /** Kernels without it have nothing to limit there (swap, for one). */
  readonly isOptional?: boolean;
}

/** As a `cpuQuota`. */
export const UNLIMITED = -1;

export interface GroupLimits extends ResourceLimits {
  /** Processes and threads. */
  readonly pids?: number;
  /** An OOM kill takes the whole group along; version 2 only, the other has no such thing. */
  readonly oomGroup?: boolean;
}

/** A folder that shows a group to those in it. */
export interface CgroupView {
  /** Version 1: the name of the folder in /sys/fs/cgroup. Absent for version 2, which is all of it. */
  readonly controller?: string;
  readonly folder: string;
}

/** Paths are relative to the cluster's own group; the empty path is that group. */
export interface CgroupDriver {
  readonly kind: "cgroup-v1" | "cgroup-v2";
  /** Folders that together are the group at `path`: one per hierarchy. */
  folders(path: string): readonly string[];
  /** Controllers that share a hierarchy have the same folder. */
  views(path: string): readonly CgroupView[];
  /** What a group has to be told before groups below it can have limits. */
  inner(path: string): readonly Setting[];
  /** In the order in which they have to be written. */
  settings(path: string, limits: GroupLimits): readonly Setting[];
  /** How many processes of the group the kernel has ended for want of memory, ever. */
  oomKills(path: string): number;
  /** CPU time since the group was made; `undefined` when nobody counts. */
  cpuNanoseconds(path: string): number | undefined;
  /** Working set, bytes: what is used without the pages of files that have not been touched for long. */
  memoryBytes(path: string): number | undefined;
  /** Kills everything in the group itself, not below it. What forks meanwhile is caught too. */
  kill(path: string, killProcess: (pid: number) => void): void;
}

/** Where the groups of version 1 are, by controller; several may share a folder. */
export type Hierarchies = Readonly<
  Partial<Record<"memory" | "cpu" | "cpuacct" | "pids" | "freezer", string>>
>;

/** Value of one line of `memory.stat` and its kind: `NAME VALUE`. */
export function statValue(text: string | undefined, name: string): number | undefined {
  const value = text === undefined ? undefined : new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

export function numberIn(files: CgroupFiles, path: string): number | undefined {
  const text = files.read(path)?.trim();
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

/** Processes that are in the group right now. */
export function processesIn(files: CgroupFiles, folder: string): readonly number[] {
  const text = files.read(`${folder}/cgroup.procs`) ?? "";
  // Zero is a process that this pid namespace does not know.
  return text
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 0);
}
