/** A Job's status while it runs and when it ends (`syncJob`, `enactJobFinished`). */
import type { JobCondition, JobStatus } from "../../../../generated/kubernetes.ts";
import { isFinished, isPodReady } from "../../../k8s/pod.ts";
import { formatTimestamp } from "../../../k8s/timestamp.ts";
import { jobCondition, terminalCondition, withCondition } from "./job-conditions.ts";
import type { JobPod, StoredJob } from "./job-pod.ts";
import { isTerminating } from "./job-pod.ts";
import { isPodActive } from "./pod-condition.ts";

/** Numbers of pods as they are now. Of `active` a zero is not written, of the others it is. */
export function withPodCounts(status: JobStatus, pods: readonly JobPod[]): JobStatus {
  const { active: _, ...rest } = status;
  const active = pods.filter(isPodActive);
  return {
    ...(active.length === 0 ? {} : { active: active.length }),
    ...rest,
    ready: active.filter(isPodReady).length,
    terminating: pods.filter(isTerminating).length,
  };
}

/** The clock of `activeDeadlineSeconds` starts with the first look, unless the Job is suspended. */
export function withStart({ spec, status = {} }: StoredJob, now: number): JobStatus {
  if (status.startTime !== undefined || spec.suspend === true) return status;
  return { ...status, startTime: formatTimestamp(now) };
}

/** Suspending stops that clock, resuming starts it anew. Only for Jobs that have not ended. */
export function withSuspension(status: JobStatus, isSuspended: boolean, now: number): JobStatus {
  const before = status.conditions ?? [];
  const said = isSuspended
    ? jobCondition({ type: "Suspended", reason: "JobSuspended", message: "Job suspended" }, now)
    : jobCondition({ type: "Suspended", status: "False", reason: "JobResumed", message: "Job resumed" }, now);
  const conditions = withCondition(before, said);
  if (conditions === before) return status;
  const { startTime: _, ...rest } = status;
  const start = isSuspended ? {} : { startTime: formatTimestamp(now) };
  return { ...rest, ...start, conditions: [...conditions] };
}

export function withVerdict(status: JobStatus, verdict: JobCondition | undefined): JobStatus {
  if (verdict === undefined || status.conditions?.includes(verdict) === true) return status;
  return { ...status, conditions: [...withCondition(status.conditions ?? [], verdict)] };
}

export interface JobEnd {
  readonly status: JobStatus;
  readonly condition: JobCondition;
}

/** The last status, or `undefined` as long as a pod still ends or is not counted. */
export function jobEnd(
  status: JobStatus,
  {
    verdict,
    pods,
    now,
  }: { readonly verdict: JobCondition; readonly pods: readonly JobPod[]; readonly now: number },
): JobEnd | undefined {
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {};
  if (succeeded.length + failed.length > 0) return undefined;
  if (pods.some((pod) => !isFinished(pod))) return undefined;
  const condition = terminalCondition(verdict, now);
  const conditions = [...withCondition(status.conditions ?? [], condition)];
  const completed = condition.type === "Complete" ? { completionTime: formatTimestamp(now) } : {};
  return { status: { ...status, conditions, ...completed }, condition };
}
