/** Reads /proc/PID/stat (proc_pid_stat(5)), whose second field may hold anything. */
import { readFileSync } from "node:fs";

/** The fields behind the command name: field N of the manual page is at `N - 3`. */
export function statFields(text: string): readonly string[] {
  // The name is in parentheses and may hold spaces and parentheses itself.
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** The same of a process of this pid namespace; undefined when it is gone. */
export function processStat(pid: number | string): readonly string[] | undefined {
  try {
    return statFields(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return undefined;
  }
}
