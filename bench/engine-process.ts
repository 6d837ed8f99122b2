/** What an engine costs, as /proc tells of its process. */
import { readFileSync } from "node:fs";
import { processStat } from "../src/lib/process-stat.ts";

export function rssMiB(pid: number): number {
  const kib = readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)?.[1];
  return Number(kib) / 1024;
}

/** User and system time of all threads, in milliseconds (clock ticks of 10 ms). */
export function cpuMs(pid: number): number {
  const fields = processStat(pid);
  return (Number(fields?.[11]) + Number(fields?.[12])) * 10;
}
