/** Finds the children of processes that are not our own. */
import { readdirSync, readFileSync } from "node:fs";

/** Pids, also of children that have ended and that nobody has reaped. From field 4 of every /proc/PID/stat (proc(5)). */
export function childrenOf(parents: readonly number[]): number[] {
  if (parents.length === 0) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parents.includes(parentOf(name)))
    .map(Number);
}

function parentOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command name is in parentheses and may hold spaces and parentheses itself.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return -1; // It has ended meanwhile.
  }
}
