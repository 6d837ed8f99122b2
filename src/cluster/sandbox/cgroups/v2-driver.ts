/** Control groups of version 2: one hierarchy, controllers switched on from the top down (kernel: admin-guide/cgroup-v2). */
import {
  type CgroupDriver,
  type GroupLimits,
  numberIn,
  processesIn,
  type Setting,
  statValue,
  UNLIMITED,
} from "./cgroup-driver.ts";
import type { CgroupFiles } from "./cgroup-files.ts";

/** Microseconds; the kubelet's period. */
const PERIOD_US = 100_000;

export interface V2Place {
  /** Folder of the cluster's own group. */
  readonly base: string;
  /** Those that groups below it may have. */
  readonly controllers: readonly string[];
}

export function v2Driver(files: CgroupFiles, { base, controllers }: V2Place): CgroupDriver {
  const at = (path: string) => (path === "" ? base : `${base}/${path}`);
  const has = (controller: string) => controllers.includes(controller);
  return {
    kind: "cgroup-v2",
    folders: (path) => [at(path)],
    views: (path) => [{ folder: at(path) }],
    inner: (path) =>
      controllers.length === 0
        ? []
        : [
            {
              file: `${at(path)}/cgroup.subtree_control`,
              value: controllers.map((controller) => `+${controller}`).join(" "),
            },
          ],
    settings: (path, limits) => [
      ...(has("memory") ? memorySettings(at(path), limits) : []),
      ...(has("cpu") ? cpuSettings(at(path), limits) : []),
      ...(has("pids") && limits.pids !== undefined
        ? [{ file: `${at(path)}/pids.max`, value: String(limits.pids) }]
        : []),
    ],
    oomKills: (path) => statValue(files.read(`${at(path)}/memory.events`), "oom_kill") ?? 0,
    cpuNanoseconds(path) {
      const micros = statValue(files.read(`${at(path)}/cpu.stat`), "usage_usec");
      return micros === undefined ? undefined : micros * 1000;
    },
    memoryBytes(path) {
      const used = numberIn(files, `${at(path)}/memory.current`);
      const idle = statValue(files.read(`${at(path)}/memory.stat`), "inactive_file") ?? 0;
      return used === undefined ? undefined : Math.max(0, used - idle);
    },
    kill(path, killProcess) {
      try {
        files.write(`${at(path)}/cgroup.kill`, "1");
      } catch {
        // Before Linux 5.14 there is no such file.
        for (const pid of processesIn(files, at(path))) killProcess(pid);
      }
    },
  };
}

function memorySettings(folder: string, { memory, oomGroup }: GroupLimits): readonly Setting[] {
  return [
    ...(memory === undefined
      ? []
      : [
          { file: `${folder}/memory.max`, value: String(memory) },
          { file: `${folder}/memory.swap.max`, value: "0", isOptional: true },
        ]),
    ...(oomGroup === undefined
      ? []
      : [{ file: `${folder}/memory.oom.group`, value: oomGroup ? "1" : "0", isOptional: true }]),
  ];
}

function cpuSettings(folder: string, { cpuShares, cpuQuota }: GroupLimits): readonly Setting[] {
  return [
    ...(cpuShares === undefined
      ? []
      : [{ file: `${folder}/cpu.weight`, value: String(cpuWeight(cpuShares)) }]),
    ...(cpuQuota === undefined
      ? []
      : [
          {
            file: `${folder}/cpu.max`,
            value: `${cpuQuota === UNLIMITED ? "max" : cpuQuota} ${PERIOD_US}`,
            isOptional: true,
          },
        ]),
  ];
}

/**
 * `cpu.shares` as `cpu.weight`, 1 to 10000: a curve through 2 -> 1, 1024 -> 100 and 262144 -> 10000, so that one CPU's worth of
 * shares is the default weight in both versions (Kubernetes blog, "New conversion from cgroup v1 CPU shares to v2 CPU weight").
 */
export function cpuWeight(shares: number): number {
  const log = Math.log2(Math.min(262_144, Math.max(2, shares)));
  const weight = 10 ** ((log * log + 125 * log) / 612 - 7 / 34);
  // The three fixed points come out as 100.00000000000001 and the like.
  return Math.min(10_000, Math.max(1, Math.ceil(weight - 1e-9)));
}
