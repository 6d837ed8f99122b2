/** Names a process for good: a pid alone is reused, a pid with its start time is not (proc(5), field 22 of stat). */
import { processStat } from "./process-stat.ts";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, as /proc/PID/stat gives them. */
  readonly startTime: string;
}

/** Start time of a process of this pid namespace; undefined when it is gone or a zombie. */
export function startTimeOf(pid: number): string | undefined {
  const fields = processStat(pid);
  const state = fields?.[0];
  return state === "Z" || state === "X" ? undefined : fields?.[19];
}

/** True while exactly this process, not a later one with its pid, is running. */
export function isRunning({ pid, startTime }: ProcessIdentity): boolean {
  return startTimeOf(pid) === startTime;
}
