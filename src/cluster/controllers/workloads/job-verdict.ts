/** Whether a Job has come to its end, and why (`syncJob`). */
import type { JobCondition, JobSpec } from "../../../../generated/kubernetes.ts";
import { parseIndexes } from "../../../k8s/job-indexes.ts";
import { jobCondition } from "./job-conditions.ts";
import { matchFailurePolicy } from "./job-failure-policy.ts";
import type { JobFacts } from "./job-facts.ts";
import { conditionOf, isIndexed, isPodFailed } from "./job-pod.ts";

/** The interim condition (`SuccessCriteriaMet` or `FailureTarget`), kept once it is set; `undefined` while the Job goes on. */
export function jobVerdict(facts: JobFacts, now: number): JobCondition | undefined {
  const { job } = facts;
  const known = conditionOf(job, "SuccessCriteriaMet") ?? conditionOf(job, "FailureTarget");
  if (known !== undefined) return known;
  const failure = whyFailed(facts, now);
  if (failure !== undefined) return jobCondition({ type: "FailureTarget", ...failure }, now);
  const message = successPolicyMet(facts);
  if (message === undefined) return undefined;
  return jobCondition({ type: "SuccessCriteriaMet", reason: "SuccessPolicy", message }, now);
}

interface Failure {
  readonly reason: string;
  readonly message: string;
}

function whyFailed(facts: JobFacts, now: number): Failure | undefined {
  const { job, pods, failed, failedIndexes, succeededIndexes } = facts;
  const { spec } = job;
  const byPolicy = failJobMessage(facts);
  if (byPolicy !== undefined) return { reason: "PodFailurePolicy", message: byPolicy };
  if (failed > (spec.backoffLimit ?? 6) || isPastRestarts({ spec, pods })) {
    return { reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit" };
  }
  if (deadlineLeft(facts, now) === 0) {
    return { reason: "DeadlineExceeded", message: "Job was active longer than specified deadline" };
  }
  if (failedIndexes === undefined) return undefined;
  if (spec.maxFailedIndexes !== undefined && failedIndexes.size > spec.maxFailedIndexes) {
    const message = "Job has exceeded the specified maximal number of failed indexes";
    return { reason: "MaxFailedIndexesExceeded", message };
  }
  if (failedIndexes.size > 0 && failedIndexes.size + succeededIndexes.size >= (spec.completions ?? 0)) {
    return { reason: "FailedIndexes", message: "Job has failed indexes" };
  }
  return undefined;
}

function failJobMessage({ job: { spec }, pods }: JobFacts): string | undefined {
  if (spec.podFailurePolicy === undefined) return undefined;
  for (const pod of pods) {
    if (!isPodFailed(pod, spec)) continue;
    const { message } = matchFailurePolicy(spec, pod);
    if (message !== undefined) return message;
  }
  return undefined;
}

/** Pods that restart in place fail by their restarts, those of init containers and sidecars too (`pastBackoffLimitOnFailure`). */
function isPastRestarts({
  spec,
  pods,
}: {
  readonly spec: JobSpec;
  readonly pods: JobFacts["pods"];
}): boolean {
  if (spec.template.spec?.restartPolicy !== "OnFailure") return false;
  const { backoffLimit = 6 } = spec;
  let restarts = 0;
  for (const { status } of pods) {
    if (status?.phase !== "Running" && status?.phase !== "Pending") continue;
    const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
    for (const { restartCount } of all) restarts += restartCount;
  }
  return backoffLimit === 0 ? restarts > 0 : restarts >= backoffLimit;
}

/** Milliseconds until `activeDeadlineSeconds` has passed since the start; `undefined` when nothing runs out. */
export function deadlineLeft({ job: { spec, status } }: JobFacts, now: number): number | undefined {
  const { activeDeadlineSeconds, suspend = false } = spec;
  if (activeDeadlineSeconds === undefined || suspend) return undefined;
  const started = status?.startTime === undefined ? now : Date.parse(status.startTime);
  return Math.max(0, started + activeDeadlineSeconds * 1000 - now);
}

/** Why the successes there are suffice (`matchSuccessPolicy`). */
function successPolicyMet({ job: { spec }, succeededIndexes }: JobFacts): string | undefined {
  if (!isIndexed(spec)) return undefined;
  const rules = spec.successPolicy?.rules ?? [];
  const met = rules.findIndex(({ succeededIndexes: wanted, succeededCount }) => {
    if (wanted === undefined) return succeededCount !== undefined && succeededIndexes.size >= succeededCount;
    const indexes = [...parseIndexes(wanted, spec.completions ?? 0)];
    const done = indexes.filter((index) => succeededIndexes.has(index)).length;
    return done >= (succeededCount ?? indexes.length);
  });
  return met < 0 ? undefined : `Matched rules at index ${met}`;
}

/** Every completion is there and nothing runs any more. */
export function isJobComplete({ job: { spec }, succeeded }: JobFacts, activeCount: number): boolean {
  if (activeCount > 0) return false;
  return spec.completions === undefined ? succeeded > 0 : succeeded >= spec.completions;
}
