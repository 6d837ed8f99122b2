/** Which pods a Job that goes on lacks or has too many (`manageJob`). */
import type { JobFacts } from "./job-facts.ts";
import { allFailures } from "./job-facts.ts";
import { type FailureRecord, pauseLeft } from "./job-back-off.ts";
import { finishedAt, indexOf, isIndexed, isTerminating, type JobPod, replacesOnlyFailed } from "./job-pod.ts";
import { compareVictims } from "./replica-set-victims.ts";

/** Pods that one look creates or deletes at most (`MaxPodCreateDeletePerSync`). */
const MOST_AT_ONCE = 500;

export interface JobScale {
  readonly remove: readonly JobPod[];
  /** One pod for each: its index, or `undefined` where pods have none. */
  readonly create: readonly (number | undefined)[];
  /** Milliseconds until failed pods may be replaced. */
  readonly wakeInMs?: number;
}

const NOTHING: JobScale = { remove: [], create: [] };

export function jobScale(
  facts: JobFacts,
  { record, now }: { readonly record: FailureRecord; readonly now: number },
): JobScale {
  const { active, terminating } = facts;
  const { spec } = facts.job;
  if (spec.suspend === true) return { ...NOTHING, remove: victims(facts, active.length, now) };
  const wanted = wantedActive(facts);
  const remove = victims(facts, Math.max(0, active.length - wanted), now).slice(0, MOST_AT_ONCE);
  if (remove.length > 0) return { ...NOTHING, remove };
  const missing = wanted - active.length - (replacesOnlyFailed(spec) ? terminating : 0);
  if (missing <= 0) return NOTHING;
  const count = Math.min(missing, MOST_AT_ONCE);
  if (facts.failedIndexes !== undefined) return replaceIndexes(facts, pendingIndexes(facts, count), now);
  const pause = pauseLeft(record, now);
  if (pause > 0) return { ...NOTHING, wakeInMs: pause };
  if (isIndexed(spec)) return { ...NOTHING, create: pendingIndexes(facts, count) };
  return { ...NOTHING, create: Array.from({ length: count }, () => undefined) };
}

function wantedActive({ job: { spec }, active, succeeded }: JobFacts): number {
  const { completions, parallelism = 1 } = spec;
  // A work queue: the first success says that there is no more work.
  if (completions === undefined) return succeeded > 0 ? active.length : parallelism;
  return Math.max(0, Math.min(completions - succeeded, parallelism));
}

/** Pods without a place of their own go in any case (`activePodsForRemoval`). */
function victims({ job: { spec }, active }: JobFacts, atLeast: number, now: number): JobPod[] {
  const order = (a: JobPod, b: JobPod) => compareVictims(a, b, now);
  const remove: JobPod[] = [];
  const left: JobPod[] = [];
  if (!isIndexed(spec)) left.push(...active);
  else {
    for (const [index, pods] of Map.groupBy(active, (pod) => indexOf(pod, spec))) {
      const sorted = pods.toSorted(order);
      remove.push(...(index === undefined ? sorted : sorted.slice(0, -1)));
      left.push(...(index === undefined ? [] : sorted.slice(-1)));
    }
  }
  const more = Math.max(0, atLeast - remove.length);
  return [...remove, ...left.toSorted(order).slice(0, more)];
}

/** The lowest that nobody works on, has done or has given up (`firstPendingIndexes`). */
function pendingIndexes(facts: JobFacts, count: number): number[] {
  const { job, pods, active, succeededIndexes, failedIndexes } = facts;
  const { spec } = job;
  const holding = replacesOnlyFailed(spec) ? [...active, ...pods.filter(isTerminating)] : active;
  const held = new Set(holding.map((pod) => indexOf(pod, spec)));
  const pending: number[] = [];
  for (let index = 0; index < (spec.completions ?? 0) && pending.length < count; index += 1) {
    const isTaken = held.has(index) || succeededIndexes.has(index) || failedIndexes?.has(index) === true;
    if (!isTaken) pending.push(index);
  }
  return pending;
}

/** Every index has a pause of its own (`getPodCreationInfoForIndependentIndexes`). */
function replaceIndexes({ lastFailures }: JobFacts, indexes: readonly number[], now: number): JobScale {
  const pauses = indexes.map((index) => {
    const failed = lastFailures.get(index);
    if (failed === undefined) return { index, pause: 0 };
    const record = { failures: allFailures(failed) + 1, lastFailureAt: finishedAt(failed) };
    return { index, pause: pauseLeft(record, now) };
  });
  const create = pauses.filter(({ pause }) => pause === 0).map(({ index }) => index);
  const waiting = pauses.filter(({ pause }) => pause > 0).map(({ pause }) => pause);
  return { remove: [], create, ...(waiting.length === 0 ? {} : { wakeInMs: Math.min(...waiting) }) };
}
