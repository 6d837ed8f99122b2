/** Control groups of the running kernel that tests can use without moving processes that are not theirs. */
import { existsSync, readFileSync } from "node:fs";
import type { CgroupFiles } from "./cgroup-files.ts";
import { cgroupMounts } from "./cgroup-mounts.ts";
import { type CgroupChoice, chooseCgroups } from "./choose-cgroups.ts";

export interface CgroupWays {
  /** What a cluster would use here. */
  readonly choice: CgroupChoice;
  /** Any version 2 that lets us make groups: they need no controller for their rules. */
  readonly bare: CgroupChoice | undefined;
  /** Those that can be used, by name. */
  readonly ways: readonly (readonly [name: string, choice: CgroupChoice])[];
}

export function cgroupWays(files: CgroupFiles): CgroupWays {
  const mountinfo = readFileSync("/proc/self/mountinfo", "utf8");
  const own = readFileSync("/proc/self/cgroup", "utf8");
  const choice = chooseCgroups({ mountinfo, own, pid: process.pid, files });
  // Where only the engine's own group would do, tests would have to move this very process.
  const isUsable = choice.kind === "cgroup-v1" || (choice.kind === "cgroup-v2" && !choice.movesProcesses);
  const unified = cgroupMounts(mountinfo).find(({ version, isReadOnly }) => version === 2 && !isReadOnly);
  const bare: CgroupChoice | undefined =
    unified !== undefined && files.isWritable(unified.folder) && !existsSync(`${unified.folder}/cgroup.type`)
      ? { kind: "cgroup-v2", parent: unified.folder, controllers: [], movesProcesses: false }
      : undefined;
  const ways: (readonly [string, CgroupChoice])[] = [];
  if (isUsable) ways.push(["the one that is used here", choice]);
  if (bare !== undefined && choice.kind !== "cgroup-v2") ways.push(["version 2 without controllers", bare]);
  return { choice, bare, ways };
}
