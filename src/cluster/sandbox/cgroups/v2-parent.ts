/** The group of version 2 that the cluster's own is a child of: it has to share out controllers, and hold no processes for that. */
import { processesIn } from "./cgroup-driver.ts";
import { type CgroupFiles, isErrno } from "./cgroup-files.ts";
import { type CgroupChoice, SUPERVISOR } from "./choose-cgroups.ts";

/** How often processes are moved out of a group that keeps getting new ones. */
const MOVE_ROUNDS = 10;

/** Where the cluster's group of version 2 is to be made. */
export type V2Parent = Extract<CgroupChoice, { readonly kind: "cgroup-v2" }>;

/** Lets groups below `parent` have limits. Throws the kernel's error. */
export function prepareParent(files: CgroupFiles, { parent, controllers, movesProcesses }: V2Parent): void {
  if (movesProcesses) {
    files.makeFolder(`${parent}/${SUPERVISOR}`);
    moveProcesses(files, parent, `${parent}/${SUPERVISOR}`);
  }
  for (const controller of controllers) files.write(`${parent}/cgroup.subtree_control`, `+${controller}`);
}

/** As it was before, unless another cluster still needs it. */
export function restoreParent(files: CgroupFiles, { parent, controllers, movesProcesses }: V2Parent): void {
  if (!movesProcesses) return;
  try {
    for (const controller of controllers) files.write(`${parent}/cgroup.subtree_control`, `-${controller}`);
    moveProcesses(files, `${parent}/${SUPERVISOR}`, parent);
    files.removeFolder(`${parent}/${SUPERVISOR}`);
  } catch {
    // Another cluster's groups are below it.
  }
}

function moveProcesses(files: CgroupFiles, from: string, to: string): void {
  for (let round = 0; round < MOVE_ROUNDS; round++) {
    const found = processesIn(files, from);
    if (found.length === 0) return;
    for (const pid of found) {
      try {
        files.write(`${to}/cgroup.procs`, String(pid));
      } catch (error) {
        if (!isErrno(error, "ESRCH")) throw error;
      }
    }
  }
}
