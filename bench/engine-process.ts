/** What an engine or a sidecar costs, as /proc tells of its process. */
import { readFileSync } from "node:fs";
import { processStat } from "../src/lib/process-stat.ts";

export function rssMiB(pid: number): number {
  return memoryMiB(pid, "VmRSS");
}

/** What of it is in memory now, what of that is no file's (`RssAnon`), or the most that ever was (`VmHWM`). */
export function memoryMiB(pid: number, name: "VmRSS" | "RssAnon" | "VmHWM"): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}

/** User and system time of all threads, in milliseconds (clock ticks of 10 ms). */
export function cpuMs(pid: number): number {
  const fields = processStat(pid);
  return (Number(fields?.[11]) + Number(fields?.[12])) * 10;
}
