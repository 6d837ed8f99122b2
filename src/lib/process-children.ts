/** Finds the children of processes that are not our own. */
import { readdirSync } from "node:fs";
import { processStat } from "./process-stat.ts";

/** Pids, also of children that have ended and that nobody has reaped. From field 4 of every /proc/PID/stat (proc(5)). */
export function childrenOf(parents: readonly number[]): number[] {
  if (parents.length === 0) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parents.includes(Number(processStat(name)?.[1] ?? -1)))
    .map(Number);
}
