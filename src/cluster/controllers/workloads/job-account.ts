/**
 * Counts pods that have ended exactly once, whatever happens in between: first their uids go into the status, then their
 * finalizer goes, then the uids become numbers (`trackJobStatusAndRemoveFinalizers`).
 */
import type { JobCondition, JobStatus, UncountedTerminatedPods } from "../../../../generated/kubernetes.ts";
import { formatIndexes } from "../../../k8s/job-indexes.ts";
import { matchFailurePolicy } from "./job-failure-policy.ts";
import { type JobFacts, uncountedIn } from "./job-facts.ts";
import { indexOf, isIndexed, isPodFailed, isTracked, type JobPod, type StoredJob, uidOf } from "./job-pod.ts";

/** Uids that a status holds at most (`MaxUncountedPods`). */
const MOST_UNCOUNTED = 500;

export interface Account {
  /** To write before any finalizer goes. */
  readonly status: JobStatus;
  /** The pods that may go then. */
  readonly release: readonly JobPod[];
  /** Whether another round is needed. */
  readonly isPartial: boolean;
}

export function accountPods(facts: JobFacts, status: JobStatus, verdict: JobCondition | undefined): Account {
  const { job } = facts;
  const start = settleReleased({ ...status, uncountedTerminatedPods: uncountedIn(job) }, job, facts.pods);
  const succeeded = [...(start.uncountedTerminatedPods?.succeeded ?? [])];
  const failed = [...(start.uncountedTerminatedPods?.failed ?? [])];
  const indexes = new Set(facts.succeededBefore);
  const release: JobPod[] = [];
  let fresh = 0;
  for (const pod of inOrder(facts)) {
    if (succeeded.length + failed.length + fresh >= MOST_UNCOUNTED) break;
    if (!isTracked(pod) || !mayRelease(facts, pod, verdict)) continue;
    release.push(pod);
    const index = indexOf(pod, job.spec);
    const isStray = isIndexed(job.spec) && index === undefined;
    if (isStray || [...succeeded, ...failed].includes(uidOf(pod))) continue;
    const outcome = outcomeOf(facts, pod, verdict);
    if (outcome === "failed") failed.push(uidOf(pod));
    else if (outcome === "succeeded" && index === undefined) succeeded.push(uidOf(pod));
    else if (outcome === "succeeded" && index !== undefined && !indexes.has(index)) {
      indexes.add(index);
      fresh += 1;
    }
  }
  const uncountedTerminatedPods = uncounted(succeeded, failed);
  const indexed = isIndexed(job.spec) ? indexStatus(facts, indexes) : {};
  const isPartial = succeeded.length + failed.length + fresh >= MOST_UNCOUNTED;
  return { status: { ...start, ...indexed, uncountedTerminatedPods }, release, isPartial };
}

/** Completed indexes come in order. */
function inOrder({ job: { spec }, pods }: JobFacts): readonly JobPod[] {
  if (!isIndexed(spec)) return pods;
  return pods.toSorted((a, b) => (indexOf(a, spec) ?? -1) - (indexOf(b, spec) ?? -1));
}

/** `canRemoveFinalizer`. */
function mayRelease(
  { job, lastFailures }: JobFacts,
  pod: JobPod,
  verdict: JobCondition | undefined,
): boolean {
  const isOver = verdict !== undefined || job.metadata.deletionTimestamp !== undefined;
  if (isOver || pod.status?.phase === "Succeeded") return true;
  if (!isPodFailed(pod, job.spec)) return false;
  const index = indexOf(pod, job.spec);
  return index === undefined || lastFailures.get(index) !== pod;
}

/** What still runs when a Job fails counts as failed. */
function outcomeOf(
  { job: { spec } }: JobFacts,
  pod: JobPod,
  verdict: JobCondition | undefined,
): "succeeded" | "failed" | "neither" {
  if (pod.status?.phase === "Succeeded") return "succeeded";
  if (!isPodFailed(pod, spec) && verdict?.type !== "FailureTarget") return "neither";
  return matchFailurePolicy(spec, pod).counts ? "failed" : "neither";
}

function indexStatus({ failedIndexes }: JobFacts, indexes: ReadonlySet<number>): Partial<JobStatus> {
  return {
    ...(indexes.size === 0 ? {} : { succeeded: indexes.size, completedIndexes: formatIndexes(indexes) }),
    ...(failedIndexes === undefined ? {} : { failedIndexes: formatIndexes(failedIndexes) }),
  };
}

/** Uids whose pods are gone, or have lost their finalizer, become numbers (`cleanUncountedPodsWithoutFinalizers`). */
export function settleReleased(status: JobStatus, job: StoredJob, pods: readonly JobPod[]): JobStatus {
  const held = new Set(pods.filter(isTracked).map(uidOf));
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {};
  const stillSucceeded = succeeded.filter((uid) => held.has(uid));
  const stillFailed = failed.filter((uid) => held.has(uid));
  const newlySucceeded = isIndexed(job.spec) ? 0 : succeeded.length - stillSucceeded.length;
  const newlyFailed = failed.length - stillFailed.length;
  return {
    ...status,
    ...(newlySucceeded === 0 ? {} : { succeeded: (status.succeeded ?? 0) + newlySucceeded }),
    ...(newlyFailed === 0 ? {} : { failed: (status.failed ?? 0) + newlyFailed }),
    uncountedTerminatedPods: uncounted(stillSucceeded, stillFailed),
  };
}

function uncounted(succeeded: readonly string[], failed: readonly string[]): UncountedTerminatedPods {
  return {
    ...(succeeded.length === 0 ? {} : { succeeded: [...succeeded] }),
    ...(failed.length === 0 ? {} : { failed: [...failed] }),
  };
}
