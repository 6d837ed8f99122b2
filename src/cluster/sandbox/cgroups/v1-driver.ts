/** Control groups of version 1: a hierarchy per controller, each with the same tree (kernel: admin-guide/cgroup-v1). */
import {
  type CgroupDriver,
  type GroupLimits,
  type Hierarchies,
  numberIn,
  processesIn,
  type Setting,
  statValue,
} from "./cgroup-driver.ts";
import type { CgroupFiles } from "./cgroup-files.ts";

/** Microseconds; the kubelet's period. */
const PERIOD_US = 100_000;
/** Rounds of killing: each takes what was forked while the one before looked. */
const KILL_ROUNDS = 8;

export function v1Driver(files: CgroupFiles, hierarchies: Hierarchies): CgroupDriver {
  const { memory, cpu, cpuacct, pids, freezer } = hierarchies;
  const bases = [...new Set([memory, cpu, cpuacct, pids, freezer].filter((base) => base !== undefined))];
  return {
    kind: "cgroup-v1",
    folders: (path) => bases.map((base) => join(base, path)),
    views: (path) =>
      Object.entries(hierarchies).map(([controller, base]) => ({ controller, folder: join(base, path) })),
    inner: () => [],
    settings: (path, limits) => [
      ...(memory === undefined ? [] : memorySettings(join(memory, path), limits)),
      ...(cpu === undefined ? [] : cpuSettings(join(cpu, path), limits)),
      ...(pids === undefined || limits.pids === undefined
        ? []
        : [{ file: `${join(pids, path)}/pids.max`, value: String(limits.pids) }]),
    ],
    oomKills: (path) =>
      memory === undefined
        ? 0
        : (statValue(files.read(`${join(memory, path)}/memory.oom_control`), "oom_kill") ?? 0),
    cpuNanoseconds: (path) =>
      cpuacct === undefined ? undefined : numberIn(files, `${join(cpuacct, path)}/cpuacct.usage`),
    memoryBytes(path) {
      if (memory === undefined) return undefined;
      const used = numberIn(files, `${join(memory, path)}/memory.usage_in_bytes`);
      const idle = statValue(files.read(`${join(memory, path)}/memory.stat`), "total_inactive_file") ?? 0;
      return used === undefined ? undefined : Math.max(0, used - idle);
    },
    kill(path, killProcess) {
      const folder = join(bases[0] ?? "", path);
      const state = freezer === undefined ? undefined : `${join(freezer, path)}/freezer.state`;
      // Frozen processes cannot fork; they take the signal when they thaw.
      if (state !== undefined) tryWrite(files, state, "FROZEN");
      const killed = new Set<number>();
      for (let round = 0; round < KILL_ROUNDS; round++) {
        const found = processesIn(files, folder).filter((pid) => !killed.has(pid));
        if (found.length === 0) break;
        for (const pid of found) {
          killProcess(pid);
          killed.add(pid);
        }
      }
      if (state !== undefined) tryWrite(files, state, "THAWED");
    },
  };
}

function memorySettings(folder: string, { memory }: GroupLimits): readonly Setting[] {
  if (memory === undefined) return [];
  const value = String(memory);
  return [
    { file: `${folder}/memory.limit_in_bytes`, value },
    // Memory and swap together: no swap beyond the limit, as the kubelet has it (NoSwap).
    { file: `${folder}/memory.memsw.limit_in_bytes`, value, isOptional: true },
  ];
}

function cpuSettings(folder: string, { cpuShares, cpuQuota }: GroupLimits): readonly Setting[] {
  return [
    ...(cpuShares === undefined ? [] : [{ file: `${folder}/cpu.shares`, value: String(cpuShares) }]),
    ...(cpuQuota === undefined
      ? []
      : [
          // Kernels without CONFIG_CFS_BANDWIDTH lack the files, and with them the limit.
          { file: `${folder}/cpu.cfs_period_us`, value: String(PERIOD_US), isOptional: true },
          { file: `${folder}/cpu.cfs_quota_us`, value: String(cpuQuota), isOptional: true },
        ]),
  ];
}

function tryWrite(files: CgroupFiles, file: string, value: string): void {
  try {
    files.write(file, value);
  } catch {
    // The group is gone, and with it whom it held.
  }
}

function join(base: string, path: string): string {
  return path === "" ? base : `${base}/${path}`;
}
