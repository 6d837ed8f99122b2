/** What this machine looks like from outside, to prove that a cluster has left nothing behind. */
import { readdirSync, readFileSync } from "node:fs";

export interface HostSnapshot {
  readonly mounts: readonly string[];
  readonly interfaces: readonly string[];
  readonly routes: readonly string[];
  /** Command lines of processes whose environment or arguments name `marker`. */
  readonly processes: readonly string[];
}

/** `marker` is a text that every process of interest carries, such as its state folder. */
export function snapshotHost(marker: string): HostSnapshot {
  return {
    mounts: readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n"),
    interfaces: readdirSync("/sys/class/net").toSorted(),
    routes: readFileSync("/proc/self/net/route", "utf8").trim().split("\n"),
    processes: processesOf(marker),
  };
}

/** Command lines of all processes, except this one, that carry the marker in arguments, environment or root mounts. */
export function processesOf(marker: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const files = ["cmdline", "environ", "mountinfo"].map((file) => readQuietly(`/proc/${pid}/${file}`));
      if (!files.slice(0, 2).some((text) => text.includes(marker))) return [];
      return [`${pid} ${files[0]?.replaceAll("\0", " ").trim()}`];
    });
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // The process has ended, or belongs to another user.
  }
}
