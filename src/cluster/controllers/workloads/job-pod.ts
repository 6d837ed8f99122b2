/** What a Job's controller reads off the pods: whose index, how they ended and when (`pkg/controller/job`). */
import type { Job, JobCondition, JobSpec, Pod } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { isFinished, isSidecar } from "../../../k8s/pod.ts";

export const JOBS = "jobs.batch";
export const TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking";
export const INDEX_KEY = "batch.kubernetes.io/job-completion-index";
export const FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count";
export const IGNORED_FAILURE_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count";

export type JobPod = KubeObject & Pod;

/** As the API stores it. */
export type StoredJob = KubeObject & Job & { readonly spec: JobSpec };

/** The API validates on the way in, so a missing specification is a bug of ours. */
export function asJob(object: KubeObject): StoredJob {
  const job = object as KubeObject & Job;
  if (job.spec === undefined) throw new TypeError(`Not a stored Job: ${object.metadata.name ?? ""}`);
  return job as StoredJob;
}

export function conditionOf({ status }: Job, type: string): JobCondition | undefined {
  return status?.conditions?.find((condition) => condition.type === type && condition.status === "True");
}

/** The terminal condition, once there is one. */
export function endOf(job: Job): JobCondition | undefined {
  return conditionOf(job, "Complete") ?? conditionOf(job, "Failed");
}

export function isIndexed({ completionMode }: JobSpec): boolean {
  return completionMode === "Indexed";
}

/** Whether a pod on its way out still holds its place (`onlyReplaceFailedPods`). */
export function replacesOnlyFailed({ podReplacementPolicy, podFailurePolicy }: JobSpec): boolean {
  return podReplacementPolicy === "Failed" || podFailurePolicy !== undefined;
}

/** Pods whose end has not been counted yet carry it. */
export function isTracked({ metadata }: Pod): boolean {
  return metadata?.finalizers?.includes(TRACKING_FINALIZER) === true;
}

export function isTerminating(pod: Pod): boolean {
  return !isFinished(pod) && pod.metadata?.deletionTimestamp !== undefined;
}

/** Deleted pods count unless the Job waits for their phase: some never get one (`isPodFailed`). */
export function isPodFailed({ status, metadata }: Pod, spec: JobSpec): boolean {
  if (status?.phase === "Failed") return true;
  if (replacesOnlyFailed(spec)) return false;
  return metadata?.deletionTimestamp !== undefined && status?.phase !== "Succeeded";
}

/** `undefined` for pods without one, or with one that the Job does not have (any more). */
export function indexOf({ metadata }: Pod, { completions = 0 }: JobSpec): number | undefined {
  const text = metadata?.annotations?.[INDEX_KEY] ?? "";
  const index = Number(text);
  return /^\d+$/.test(text) && index < completions ? index : undefined;
}

export function uidOf({ metadata }: Pod): string {
  return metadata?.uid ?? "";
}

/** How often the pods of this index had failed before this one, as the policy counts. */
export function failureCount(pod: Pod): number {
  return countIn(pod, FAILURE_COUNT);
}

export function ignoredFailureCount(pod: Pod): number {
  return countIn(pod, IGNORED_FAILURE_COUNT);
}

function countIn({ metadata }: Pod, annotation: string): number {
  const count = Number(metadata?.annotations?.[annotation] ?? 0);
  return Number.isInteger(count) && count > 0 ? count : 0;
}

/** Unix milliseconds; sidecars belong to the pod's life (`getFinishedTime`). */
export function finishedAt(pod: Pod): number {
  const { metadata = {}, status } = pod;
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  const graceMs = (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
  return (
    lastContainerEnd(pod) ??
    (ready?.status === "False" ? parseTime(ready.lastTransitionTime) : undefined) ??
    (metadata.deletionTimestamp === undefined
      ? undefined
      : Date.parse(metadata.deletionTimestamp) - graceMs) ??
    parseTime(metadata.creationTimestamp) ??
    0
  );
}

function lastContainerEnd({ spec, status }: Pod): number | undefined {
  const sidecars = new Set((spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const ends = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
  ].map(({ state }) => parseTime(state?.terminated?.finishedAt));
  const known = ends.filter((end) => end !== undefined);
  return known.length === 0 || known.length < ends.length ? undefined : Math.max(...known);
}

function parseTime(text: string | undefined): number | undefined {
  const time = Date.parse(text ?? "");
  return Number.isNaN(time) ? undefined : time;
}
