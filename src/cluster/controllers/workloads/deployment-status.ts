/** What a Deployment says of itself (`sync.go` calculateStatus, `progress.go` syncRolloutStatus). */
import type { DeploymentStatus, ReplicaSetStatus } from "../../../../generated/kubernetes.ts";
import {
  type Claim,
  COMPLETE,
  conditionOf,
  type Conditions,
  progressDeadline,
  PROGRESSING,
  renewed,
  REPLICA_FAILURE,
  TIMED_OUT,
  withCondition,
  without,
} from "./deployment-conditions.ts";
import { rolloutLimits } from "./deployment-limits.ts";
import { allSets, replicasTogether, type Revisions, type StoredDeployment } from "./deployment-revision.ts";

type Count = "replicas" | "readyReplicas" | "availableReplicas" | "terminatingReplicas";

/** The counts, and whether enough is available. Conditions of a rollout stay as they are. `now` is Unix milliseconds. */
export function plainStatus(revisions: Revisions, now: number): DeploymentStatus {
  const { deployment, newest } = revisions;
  const sets = allSets(revisions);
  const sum = (name: Count) => sets.reduce((total, { status }) => total + countOf(status, name), 0);
  const available = sum("availableReplicas");
  const { desired, maxUnavailable } = rolloutLimits(deployment);
  const { collisionCount, conditions = [] } = deployment.status ?? {};
  const isEnough = available >= desired - maxUnavailable;
  const claim: Claim = {
    type: "Available",
    status: isEnough ? "True" : "False",
    reason: isEnough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
    message: `Deployment ${isEnough ? "has" : "does not have"} minimum availability.`,
  };
  const generation = deployment.metadata.generation;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...nonZero({
      replicas: sum("replicas"),
      updatedReplicas: countOf(newest?.status, "replicas"),
      readyReplicas: sum("readyReplicas"),
      availableReplicas: available,
      unavailableReplicas: Math.max(0, replicasTogether(sets) - available),
    }),
    terminatingReplicas: sum("terminatingReplicas"),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions: [...withCondition(conditions, claim, now)],
  };
}

function countOf(status: ReplicaSetStatus | undefined, name: Count): number {
  return status?.[name] ?? 0;
}

/** Zeros are not written (`omitempty`). */
function nonZero(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

/** As `plainStatus`, and how the rollout goes. */
export function rolloutStatus(revisions: Revisions, now: number): DeploymentStatus {
  const status = plainStatus(revisions, now);
  const { deployment } = revisions;
  const hasDeadline = progressDeadline(deployment) !== undefined;
  let conditions: Conditions = status.conditions ?? [];
  if (!hasDeadline) conditions = without(conditions, PROGRESSING);
  const before = conditionOf(deployment.status, PROGRESSING);
  const wasComplete = (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && before?.reason === COMPLETE;
  if (hasDeadline && !wasComplete)
    conditions = withProgress(revisions, { ...status, conditions: [...conditions] }, now);
  return { ...status, conditions: [...withFailure(revisions, conditions)] };
}

function withProgress({ deployment, newest }: Revisions, status: DeploymentStatus, now: number): Conditions {
  const what =
    newest === undefined
      ? `Deployment "${deployment.metadata.name ?? ""}"`
      : `ReplicaSet "${newest.metadata.name ?? ""}"`;
  const conditions = status.conditions ?? [];
  const claim = { type: PROGRESSING, status: "True" } as const;
  if (isComplete(deployment, status)) {
    const message = `${what} has successfully progressed.`;
    return withCondition(conditions, { ...claim, reason: COMPLETE, message }, now);
  }
  if (isProgressing(deployment.status, status)) {
    // Every step forward moves the deadline.
    return renewed(
      conditions,
      { ...claim, reason: "ReplicaSetUpdated", message: `${what} is progressing.` },
      now,
    );
  }
  if (!isTimedOut(deployment, status, now)) return conditions;
  const message = `${what} has timed out progressing.`;
  return withCondition(conditions, { ...claim, status: "False", reason: TIMED_OUT, message }, now);
}

/** Everything is new and available, and nothing old is left (`DeploymentComplete`). */
export function isComplete({ metadata, spec }: StoredDeployment, status: DeploymentStatus): boolean {
  const desired = spec?.replicas ?? 0;
  return (
    (status.updatedReplicas ?? 0) === desired &&
    (status.replicas ?? 0) === desired &&
    (status.availableReplicas ?? 0) === desired &&
    (status.observedGeneration ?? 0) >= (metadata.generation ?? 0)
  );
}

function isProgressing(before: DeploymentStatus = {}, after: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus) => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  const grew = (name: "updatedReplicas" | "readyReplicas" | "availableReplicas") =>
    (after[name] ?? 0) > (before[name] ?? 0);
  return (
    grew("updatedReplicas") || old(after) < old(before) || grew("readyReplicas") || grew("availableReplicas")
  );
}

function isTimedOut(deployment: StoredDeployment, status: DeploymentStatus, now: number): boolean {
  const condition = conditionOf(status, PROGRESSING);
  if (condition === undefined || condition.reason === COMPLETE) return false;
  if (condition.reason === TIMED_OUT) return true;
  const left = progressLeftMs(deployment, status, now);
  return left !== undefined && left < 0;
}

/** Until the rollout counts as stuck; `undefined` when it is over, is stuck already, or has no deadline. */
export function progressLeftMs(
  deployment: StoredDeployment,
  status: DeploymentStatus,
  now: number,
): number | undefined {
  const seconds = progressDeadline(deployment);
  const condition = conditionOf(status, PROGRESSING);
  if (seconds === undefined || condition === undefined) return undefined;
  if (isComplete(deployment, status) || condition.reason === TIMED_OUT) return undefined;
  return (Date.parse(condition.lastUpdateTime ?? "") || 0) + seconds * 1000 - now;
}

/** The newest ReplicaSet's failure, else that of an old one (`getReplicaFailures`). */
function withFailure({ newest, old }: Revisions, conditions: Conditions): Conditions {
  const found = [newest, ...old]
    .flatMap((set) => set?.status?.conditions ?? [])
    .find(({ type, status }) => type === REPLICA_FAILURE && status === "True");
  if (found === undefined) return without(conditions, REPLICA_FAILURE);
  const { reason = "", message = "", lastTransitionTime = "" } = found;
  const known = conditions.find(({ type }) => type === REPLICA_FAILURE);
  if (known?.status === found.status && known.reason === reason) return conditions;
  const copied = { type: REPLICA_FAILURE, status: "True", reason, message, lastTransitionTime };
  return [...without(conditions, REPLICA_FAILURE), { ...copied, lastUpdateTime: lastTransitionTime }];
}
