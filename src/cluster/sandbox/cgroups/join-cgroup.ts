/** Puts a new process into its control group before it becomes somebody else's program: all that it starts is in there too. */
import { closeSync, openSync } from "node:fs";
import * as linux from "../linux-constants.ts";
import type { Program } from "../program.ts";
import type { ContainerCgroup } from "./open-cgroups.ts";

/**
 * Opens the files that `joinCgroups` writes to, with the engine's rights and before any change of namespaces. The caller closes
 * them after the launch. Throws the kernel's error.
 */
export function openJoins(cgroup: Pick<ContainerCgroup, "joins"> | undefined): readonly number[] {
  const fds: number[] = [];
  try {
    for (const file of cgroup?.joins ?? []) fds.push(openSync(file, linux.O_WRONLY | linux.O_CLOEXEC));
    return fds;
  } catch (error) {
    for (const fd of fds) closeSync(fd);
    throw error;
  }
}

/**
 * The first join takes the kernel 5 ms when there was none shortly before (it waits for all processors), others 30 µs. A child
 * that still shares the engine's memory is never chosen by the OOM killer (`in_vfork` in mm/oom_kill.c), so the engine is safe
 * until `execve`.
 */
export function joinCgroups(program: Program, joins: readonly number[]): void {
  for (const fd of joins) program.call("write", [fd, "0", 1], { name: "join control group" });
}

/** From here on the groups that the process is in are `/` to it and to all that it starts, as in containerd. */
export function hideOuterCgroups(program: Program, joins: readonly number[]): void {
  if (joins.length > 0) program.call("unshare", [linux.CLONE_NEWCGROUP], { name: "unshare(cgroup)" });
}
