/** Opens the control groups of a sandbox on this machine, and tries them out with a real process before anybody relies on them. */
import { closeSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { messageOf } from "../../../kernel/problem.ts";
import type { Launcher } from "../launcher.ts";
import * as linux from "../linux-constants.ts";
import { Program } from "../program.ts";
import { kernelCgroupFiles } from "./cgroup-files.ts";
import { cgroupName, recordCgroups, recordFile } from "./cgroup-records.ts";
import { chooseCgroups } from "./choose-cgroups.ts";
import { joinCgroups, openJoins } from "./join-cgroup.ts";
import { type Cgroups, noCgroups, openCgroupTree } from "./open-cgroups.ts";

const TRIAL = { uid: "trial", qosClass: "BestEffort" } as const;

export interface StartOptions {
  readonly launcher: Launcher;
  readonly stateDir: string;
  readonly sandboxFolder: string;
}

/** Never throws. */
export function startCgroups({ launcher, stateDir, sandboxFolder }: StartOptions): Cgroups {
  const files = kernelCgroupFiles(launcher);
  const choice = chooseCgroups({
    mountinfo: files.read("/proc/self/mountinfo") ?? "",
    own: files.read("/proc/self/cgroup") ?? "",
    pid: process.pid,
    files,
  });
  const cgroups = openCgroupTree({
    files,
    choice,
    name: cgroupName(stateDir),
    cpus: cpus().length || 1,
    maxPids: maxPids(),
    killProcess: (pid) => void launcher.tryCall("kill", [pid, linux.SIGKILL]),
    onFolders: (folders) => recordCgroups(recordFile(sandboxFolder), folders),
  });
  if (cgroups.kind === "none") return cgroups;
  const failure = tryOut(launcher, cgroups);
  if (failure === undefined) return cgroups;
  cgroups.close();
  return noCgroups({ because: `the kernel refuses them (${failure})`, fix: "run as root (`sudo`)" });
}

/** A process that joins a group and ends: what it says when it cannot. */
function tryOut(launcher: Launcher, cgroups: Cgroups): string | undefined {
  try {
    const pod = cgroups.pod(TRIAL);
    const program = new Program();
    const joins = openJoins(pod.container("trial", { memory: 2 ** 30 }));
    joinCgroups(program, joins);
    try {
      launcher.run(program);
      return undefined;
    } finally {
      for (const fd of joins) closeSync(fd);
      pod.remove();
    }
  } catch (error) {
    return messageOf(error);
  }
}

/** Processes and threads that the kernel has numbers for. */
function maxPids(): number {
  const values = ["pid_max", "threads-max"].map((name) =>
    Number(readFileSync(`/proc/sys/kernel/${name}`, "utf8")),
  );
  return Math.min(...values);
}
