/** Which finished Jobs of a CronJob are kept, and what its status says of them (`pkg/controller/cronjob`). */
import type { CronJobStatus } from "../../../../generated/kubernetes.ts";
import { conditionOf, endOf, type StoredJob } from "./job-pod.ts";
import type { StoredCronJob } from "./cron-job-plan.ts";

/** The oldest beyond the limits (`cleanupFinishedJobs`). */
export function surplusJobs({ spec }: StoredCronJob, jobs: readonly StoredJob[]): StoredJob[] {
  const { successfulJobsHistoryLimit: succeeded, failedJobsHistoryLimit: failed } = spec;
  return [
    ...oldest(
      jobs.filter((job) => conditionOf(job, "Complete") !== undefined),
      succeeded,
    ),
    ...oldest(
      jobs.filter((job) => conditionOf(job, "Failed") !== undefined),
      failed,
    ),
  ];
}

function oldest(jobs: readonly StoredJob[], limit: number | undefined): StoredJob[] {
  if (limit === undefined || jobs.length <= limit) return [];
  return jobs.toSorted(byStart).slice(0, jobs.length - limit);
}

function byStart(a: StoredJob, b: StoredJob): number {
  const [first, second] = [startOf(a), startOf(b)];
  if (first !== second) return first - second;
  return (a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1;
}

/** One that has not started is the youngest. */
function startOf({ status }: StoredJob): number {
  return status?.startTime === undefined ? Number.POSITIVE_INFINITY : Date.parse(status.startTime);
}

export interface Finding {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface Observed {
  readonly status: CronJobStatus;
  readonly findings: readonly Finding[];
}

/** Takes what has ended or gone off the list of active Jobs, and notes the latest success. */
export function observeJobs({ status = {} }: StoredCronJob, jobs: readonly StoredJob[]): Observed {
  const findings: Finding[] = [];
  const byUid = new Map(jobs.map((job) => [job.metadata.uid, job]));
  const known = new Set((status.active ?? []).map(({ uid }) => uid));
  for (const job of jobs) {
    if (known.has(job.metadata.uid ?? "") || endOf(job) !== undefined) continue;
    const message = `Saw a job that the controller did not create or forgot: ${job.metadata.name ?? ""}`;
    findings.push({ type: "Warning", reason: "UnexpectedJob", message });
  }
  const active = (status.active ?? []).filter(({ uid, name = "" }) => {
    const job = byUid.get(uid);
    if (job === undefined) {
      findings.push({ type: "Normal", reason: "MissingJob", message: `Active job went missing: ${name}` });
      return false;
    }
    const end = endOf(job);
    if (end === undefined) return true;
    const message = `Saw completed job: ${name}, condition: ${end.type}`;
    findings.push({ type: "Normal", reason: "SawCompletedJob", message });
    return false;
  });
  const { active: _, ...rest } = status;
  return {
    status: {
      ...rest,
      ...(active.length === 0 ? {} : { active }),
      ...latestSuccess(status.lastSuccessfulTime, jobs),
    },
    findings,
  };
}

function latestSuccess(known: string | undefined, jobs: readonly StoredJob[]): CronJobStatus {
  const times = jobs
    .filter((job) => conditionOf(job, "Complete") !== undefined)
    .map(({ status }) => status?.completionTime);
  const latest = [known, ...times].filter((time) => time !== undefined).toSorted();
  const last = latest.at(-1);
  return last === undefined ? {} : { lastSuccessfulTime: last };
}
