/** What a Job's controller knows before it decides: its pods counted by how they are and how they ended. */
import { isPodReady } from "../../../k8s/pod.ts";
import type { JobSpec, UncountedTerminatedPods } from "../../../../generated/kubernetes.ts";
import { parseIndexes } from "../../../k8s/job-indexes.ts";
import { matchFailurePolicy } from "./job-failure-policy.ts";
import {
  failureCount,
  finishedAt,
  ignoredFailureCount,
  indexOf,
  isIndexed,
  isPodFailed,
  isTerminating,
  isTracked,
  type JobPod,
  type StoredJob,
  uidOf,
} from "./job-pod.ts";
import { isPodActive } from "./pod-condition.ts";

export interface JobFacts {
  readonly job: StoredJob;
  /** Every pod that is the Job's. */
  readonly pods: readonly JobPod[];
  readonly active: readonly JobPod[];
  readonly ready: number;
  readonly terminating: number;
  /** Ended since the status was written last. */
  readonly newSucceeded: readonly JobPod[];
  readonly newFailed: readonly JobPod[];
  readonly succeeded: number;
  /** As `backoffLimit` counts. */
  readonly failed: number;
  /** Indexed Jobs only, else empty. */
  readonly succeededBefore: ReadonlySet<number>;
  readonly succeededIndexes: ReadonlySet<number>;
  /** Only with `backoffLimitPerIndex`. */
  readonly failedIndexes: ReadonlySet<number> | undefined;
  /** By index: the failed pod that knows how often its index failed, until a successor carries the count on. */
  readonly lastFailures: ReadonlyMap<number, JobPod>;
}

export function jobFacts(job: StoredJob, pods: readonly JobPod[]): JobFacts {
  const { spec, status = {} } = job;
  const uncounted = uncountedIn(job);
  const active = pods.filter(isPodActive);
  const newSucceeded = newlyEnded(pods, {
    spec,
    counted: uncounted.succeeded,
    is: (pod) => pod.status?.phase === "Succeeded",
  });
  const newFailed = newlyEnded(pods, {
    spec,
    counted: uncounted.failed,
    is: (pod) => isPodFailed(pod, spec),
  });
  const counting = newFailed.filter((pod) => matchFailurePolicy(spec, pod).counts);
  const succeededBefore = parseIndexes(status.completedIndexes, spec.completions ?? 0);
  const succeededIndexes = isIndexed(spec) ? withSucceeded(succeededBefore, spec, pods) : succeededBefore;
  const failedIndexes = failedIndexesOf(job, pods);
  const base = {
    job,
    pods,
    active,
    ready: active.filter(isPodReady).length,
    terminating: pods.filter(isTerminating).length,
    newSucceeded,
    newFailed,
    succeeded: isIndexed(spec)
      ? succeededIndexes.size
      : (status.succeeded ?? 0) + newSucceeded.length + (uncounted.succeeded?.length ?? 0),
    failed: (status.failed ?? 0) + counting.length + (uncounted.failed?.length ?? 0),
    succeededBefore,
    succeededIndexes,
    failedIndexes,
  };
  return { ...base, lastFailures: lastFailuresOf(base) };
}

export function uncountedIn({ status }: StoredJob): UncountedTerminatedPods {
  return status?.uncountedTerminatedPods ?? {};
}

interface Ending {
  readonly spec: JobSpec;
  readonly counted: readonly string[] | undefined;
  readonly is: (pod: JobPod) => boolean;
}

/** Pods without the finalizer are in the status already (`getValidPodsWithFilter`). */
function newlyEnded(pods: readonly JobPod[], { spec, counted, is }: Ending): JobPod[] {
  const known = new Set(counted);
  return pods.filter(
    (pod) =>
      isTracked(pod) &&
      !known.has(uidOf(pod)) &&
      (!isIndexed(spec) || indexOf(pod, spec) !== undefined) &&
      is(pod),
  );
}

function withSucceeded(
  before: ReadonlySet<number>,
  spec: JobSpec,
  pods: readonly JobPod[],
): ReadonlySet<number> {
  const all = new Set(before);
  for (const pod of pods) {
    const index = indexOf(pod, spec);
    if (index !== undefined && pod.status?.phase === "Succeeded" && isTracked(pod)) all.add(index);
  }
  return all;
}

function failedIndexesOf({ spec, status }: StoredJob, pods: readonly JobPod[]): Set<number> | undefined {
  if (!isIndexed(spec) || spec.backoffLimitPerIndex === undefined) return undefined;
  const failed = parseIndexes(status?.failedIndexes, spec.completions ?? 0);
  for (const pod of pods) {
    const index = indexOf(pod, spec);
    if (index !== undefined && isIndexFailed(pod, spec)) failed.add(index);
  }
  return failed;
}

function isIndexFailed(pod: JobPod, spec: JobSpec): boolean {
  if (!isPodFailed(pod, spec)) return false;
  const { action, counts } = matchFailurePolicy(spec, pod);
  if (action === "FailIndex") return true;
  return counts && failureCount(pod) >= (spec.backoffLimitPerIndex ?? 0);
}

/** `getPodsWithDelayedDeletionPerIndex`. */
function lastFailuresOf(facts: Omit<JobFacts, "lastFailures">): ReadonlyMap<number, JobPod> {
  const { job, pods, active, succeededIndexes, failedIndexes } = facts;
  const last = new Map<number, JobPod>();
  if (failedIndexes === undefined) return last;
  const running = new Set(active.map((pod) => indexOf(pod, job.spec)));
  for (const pod of pods) {
    const index = indexOf(pod, job.spec);
    if (index === undefined || !isTracked(pod) || !isPodFailed(pod, job.spec)) continue;
    if (running.has(index) || succeededIndexes.has(index) || failedIndexes.has(index)) continue;
    const known = last.get(index);
    if (known === undefined || isLater(pod, known)) last.set(index, pod);
  }
  return last;
}

function isLater(pod: JobPod, known: JobPod): boolean {
  const [count, before] = [allFailures(pod), allFailures(known)];
  return count >= before && finishedAt(pod) >= finishedAt(known);
}

/** Those that the policy ignores make the pause longer, too. */
export function allFailures(pod: JobPod): number {
  return failureCount(pod) + ignoredFailureCount(pod);
}
