/** What containers use where no control group counts: summed up over their processes, as /proc shows them. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Clock } from "../../../kernel/clock.ts";
import { statFields } from "../../../lib/process-stat.ts";
import type { MeasuredUse } from "./open-cgroups.ts";

/** One look at /proc serves all containers that are asked about at a time, milliseconds; small against the window of a rate. */
const FRESH_MS = 20;
/** USER_HZ is 100 on all processors that we run on. */
const NANOSECONDS_PER_TICK = 10_000_000;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Process 1 of its pid namespace. */
  readonly isFirst: boolean;
  readonly namespace: string;
  readonly cpuNanoseconds: number;
  readonly memoryBytes: number;
}

/** Of the container whose process 1 (or first process, in a shared namespace) has this pid; `undefined` when it is gone. */
export type MeasureContainer = (pid: number) => MeasuredUse | undefined;

/** Looks once for all containers that are asked about at a time. */
export function processUsage(clock: Clock): MeasureContainer {
  let seen: readonly Process[] = [];
  let seenAt = Number.NEGATIVE_INFINITY;
  return (pid) => {
    if (clock.monotonic() - seenAt > FRESH_MS) {
      seen = lookAround();
      seenAt = clock.monotonic();
    }
    return sumOf(seen, pid);
  };
}

/**
 * All of a pid namespace belongs to the container that has it to itself. In a shared one it is what the container has
 * started; orphans there belong to nobody.
 */
function sumOf(processes: readonly Process[], pid: number): MeasuredUse | undefined {
  const first = processes.find((process) => process.pid === pid);
  if (first === undefined) return undefined;
  const members = first.isFirst
    ? processes.filter(({ namespace }) => namespace === first.namespace)
    : descendants(processes, first);
  return {
    cpuNanoseconds: members.reduce((sum, { cpuNanoseconds }) => sum + cpuNanoseconds, 0),
    memoryBytes: members.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
  };
}

function descendants(processes: readonly Process[], first: Process): readonly Process[] {
  const found = [first];
  // Grows while it is walked.
  for (const { pid } of found) found.push(...processes.filter(({ parent }) => parent === pid));
  return found;
}

/** Processes in other pid namespaces than this one. */
function lookAround(): readonly Process[] {
  const own = readlinkSync("/proc/self/ns/pid");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const namespace = readlinkSync(`/proc/${name}/ns/pid`);
        return namespace === own ? [] : [readProcess(Number(name), namespace)];
      } catch {
        return []; // It has ended, or is somebody else's.
      }
    });
}

function readProcess(pid: number, namespace: string): Process {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return { pid, namespace, ...parseStat(stat), ...parseStatus(status) };
}

/** Parent, and CPU time of the process and of the children that it has waited for (proc_pid_stat(5)). */
export function parseStat(text: string): Pick<Process, "parent" | "cpuNanoseconds"> {
  const fields = statFields(text).map(Number);
  const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
  return { parent: fields[1] ?? 0, cpuNanoseconds: ticks * NANOSECONDS_PER_TICK };
}

/** Memory that cannot be dropped: without pages of files, which others share and the disk has. */
export function parseStatus(text: string): Pick<Process, "isFirst" | "memoryBytes"> {
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? 0);
  const pids = /^NSpid:\s+(.*)$/m.exec(text)?.[1]?.split(/\s+/) ?? [];
  return {
    isFirst: pids.at(-1) === "1",
    memoryBytes: (kilobytes("RssAnon") + kilobytes("RssShmem")) * 1024,
  };
}
