/** How long a Job waits before it replaces pods that failed (`pkg/controller/job/backoff_utils.go`). */
import { finishedAt, type JobPod } from "./job-pod.ts";

const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 600_000;

export interface FailureRecord {
  /** Since the last success. */
  readonly failures: number;
  /** Unix milliseconds. */
  readonly lastFailureAt: number;
}

export const NO_FAILURES: FailureRecord = { failures: 0, lastFailureAt: 0 };

/** The record after these pods have ended as well. */
export function recordEnds(
  record: FailureRecord,
  { succeeded, failed }: { readonly succeeded: readonly JobPod[]; readonly failed: readonly JobPod[] },
): FailureRecord {
  const failures = failed.map(finishedAt);
  const lastSuccess = succeeded.length === 0 ? undefined : Math.max(...succeeded.map(finishedAt));
  const since = lastSuccess === undefined ? failures : failures.filter((time) => time > lastSuccess);
  const before = lastSuccess === undefined || record.lastFailureAt > lastSuccess ? record.failures : 0;
  if (since.length === 0) return before === record.failures ? record : NO_FAILURES;
  return {
    failures: before + since.length,
    lastFailureAt: Math.max(record.lastFailureAt, ...since),
  };
}

/** Milliseconds; 0 when there is nothing to wait for. */
export function pauseLeft({ failures, lastFailureAt }: FailureRecord, now: number): number {
  if (failures === 0) return 0;
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
  return Math.max(0, lastFailureAt + pause - now);
}
