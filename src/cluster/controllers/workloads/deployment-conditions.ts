/** The conditions of a Deployment, and when their times move (`SetDeploymentCondition`). */
import type { DeploymentCondition, DeploymentStatus } from "../../../../generated/kubernetes.ts";
import { formatTimestamp } from "../../../k8s/timestamp.ts";
import type { StoredDeployment } from "./deployment-revision.ts";

export const PROGRESSING = "Progressing";
export const REPLICA_FAILURE = "ReplicaFailure";
export const TIMED_OUT = "ProgressDeadlineExceeded";
export const COMPLETE = "NewReplicaSetAvailable";
const NO_DEADLINE = 0x7fffffff;

export type Conditions = readonly DeploymentCondition[];

/** What is said, without when. */
export interface Claim {
  readonly type: "Progressing" | "Available" | "ReplicaFailure";
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
}

export function conditionOf(
  status: DeploymentStatus | undefined,
  type: string,
): DeploymentCondition | undefined {
  return status?.conditions?.find((one) => one.type === type);
}

/** Says it, unless it was said for the same reason: then the first message and time stay. `now` is Unix milliseconds. */
export function withCondition(conditions: Conditions, claim: Claim, now: number): Conditions {
  const before = conditions.find(({ type }) => type === claim.type);
  if (before?.status === claim.status && before.reason === claim.reason) return conditions;
  return renewed(conditions, claim, now);
}

/** Says it anew whatever was said before: only the time of the last change of `status` stays. */
export function renewed(conditions: Conditions, claim: Claim, now: number): Conditions {
  const before = conditions.find(({ type }) => type === claim.type);
  const time = formatTimestamp(now);
  const lastTransitionTime = before?.status === claim.status ? (before.lastTransitionTime ?? time) : time;
  return [...without(conditions, claim.type), { ...claim, lastTransitionTime, lastUpdateTime: time }];
}

export function without(conditions: Conditions, gone: string): Conditions {
  return conditions.some(({ type }) => type === gone)
    ? conditions.filter(({ type }) => type !== gone)
    : conditions;
}

/** In seconds; `undefined` where a rollout may take for ever. */
export function progressDeadline({ spec }: StoredDeployment): number | undefined {
  const seconds = spec?.progressDeadlineSeconds;
  return seconds === NO_DEADLINE ? undefined : seconds;
}

/** What changes when a Deployment is paused or resumed; `undefined` otherwise (`checkPausedConditions`). */
export function pauseClaim(deployment: StoredDeployment): Claim | undefined {
  if (progressDeadline(deployment) === undefined) return undefined;
  const reason = conditionOf(deployment.status, PROGRESSING)?.reason;
  if (reason === TIMED_OUT) return undefined;
  const wasPaused = reason === "DeploymentPaused";
  const isPaused = deployment.spec?.paused === true;
  if (isPaused === wasPaused) return undefined;
  return {
    type: PROGRESSING,
    status: "Unknown",
    reason: isPaused ? "DeploymentPaused" : "DeploymentResumed",
    message: isPaused ? "Deployment is paused" : "Deployment is resumed",
  };
}
