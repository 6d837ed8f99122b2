/** How a Job's conditions come about: the interim one first, the terminal one when its pods are gone. */
import type { JobCondition } from "../../../../generated/kubernetes.ts";
import { formatTimestamp } from "../../../k8s/timestamp.ts";

export interface Reasoned {
  readonly type: string;
  readonly status?: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

export function jobCondition(
  { type, status = "True", reason, message }: Reasoned,
  now: number,
): JobCondition {
  const timestamp = formatTimestamp(now);
  return { type, status, lastProbeTime: timestamp, lastTransitionTime: timestamp, reason, message };
}

/**
 * The same array when nothing changes. A condition that is not there is not added only to say False
 * (`ensureJobConditionStatus`).
 */
export function withCondition(
  conditions: readonly JobCondition[],
  next: JobCondition,
): readonly JobCondition[] {
  const known = conditions.find(({ type }) => type === next.type);
  if (known === undefined) return next.status === "False" ? conditions : [...conditions, next];
  const isSame =
    known.status === next.status && known.reason === next.reason && known.message === next.message;
  return isSame ? conditions : conditions.map((one) => (one === known ? next : one));
}

/** What follows on `SuccessCriteriaMet` and `FailureTarget`, for the same reason. */
export function terminalCondition(
  { type, reason = "", message = "" }: JobCondition,
  now: number,
): JobCondition {
  const final = type === "SuccessCriteriaMet" ? "Complete" : "Failed";
  return jobCondition({ type: final, reason, message }, now);
}
