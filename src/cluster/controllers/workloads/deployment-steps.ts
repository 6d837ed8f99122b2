/** What a Deployment scales next to get from its old ReplicaSets to the new one (`rolling.go`, `recreate.go`). */
import { type RolloutLimits, rolloutLimits } from "./deployment-limits.ts";
import {
  allSets,
  byCreation,
  isActiveSet,
  replicasOf,
  replicasTogether,
  type Revisions,
} from "./deployment-revision.ts";
import type { StoredReplicaSet } from "./replica-set-owner.ts";

/** Give that ReplicaSet this many replicas. */
export interface Scaling {
  readonly set: StoredReplicaSet;
  readonly replicas: number;
}

/** How many the new ReplicaSet of a rolling update may have now; never fewer than it has (`NewRSNewReplicas`). */
export function rollingSize(
  limits: RolloutLimits,
  sets: readonly StoredReplicaSet[],
  current: number,
): number {
  const room = limits.desired + limits.maxSurge - replicasTogether(sets);
  return room <= 0 ? current : current + Math.max(0, Math.min(room, limits.desired - current));
}

/** One step of a rolling update: the new one up, or else the old ones down. Empty when there is nothing to do now. */
export function planRollingUpdate(revisions: Revisions): Scaling[] {
  const { newest } = revisions;
  if (newest === undefined) return [];
  const limits = rolloutLimits(revisions.deployment);
  const current = replicasOf(newest);
  const size = current > limits.desired ? limits.desired : rollingSize(limits, allSets(revisions), current);
  return size === current ? planOldDown(revisions, newest, limits) : [{ set: newest, replicas: size }];
}

/** `reconcileOldReplicaSets`. */
function planOldDown(revisions: Revisions, newest: StoredReplicaSet, limits: RolloutLimits): Scaling[] {
  const old = revisions.old.filter(isActiveSet).toSorted(byCreation);
  const minAvailable = limits.desired - limits.maxUnavailable;
  const newUnavailable = replicasOf(newest) - availableIn(newest);
  const most = replicasTogether(allSets(revisions)) - minAvailable - newUnavailable;
  if (most <= 0) return [];
  const sizes = new Map(old.map((set) => [set, replicasOf(set)]));
  // Pods that serve nobody may go whatever the others do.
  takeFrom(sizes, most, (set, size) => size - availableIn(set));
  // They went without taking an available one along, so that what is available is as it was.
  const available = [newest, ...old].reduce((sum, set) => sum + availableIn(set), 0);
  takeFrom(sizes, available - minAvailable, (_set, size) => size);
  return [...sizes]
    .map(([set, replicas]) => ({ set, replicas }))
    .filter(({ set, replicas }) => replicas !== replicasOf(set));
}

/**
 * Available pods that the ReplicaSet will have once it has the size that it was given: its status may still be that of a larger
 * one, and pods that are about to go must not be counted on.
 */
function availableIn(set: StoredReplicaSet): number {
  return Math.min(set.status?.availableReplicas ?? 0, replicasOf(set));
}

/** Takes up to `most` replicas, from the first as many as `spare` says, then from the next. */
function takeFrom(
  sizes: Map<StoredReplicaSet, number>,
  most: number,
  spare: (set: StoredReplicaSet, size: number) => number,
): void {
  let left = most;
  for (const [set, size] of sizes) {
    const taken = Math.max(0, Math.min(left, spare(set, size)));
    sizes.set(set, size - taken);
    left -= taken;
  }
}

/** `wait`: old pods are still there. `create`: it is the new ReplicaSet's turn, which does not exist yet. */
export type RecreateStep = "wait" | "create" | readonly Scaling[];

/** Nothing new before everything old is gone. */
export function planRecreate(revisions: Revisions, isOldPodThere: boolean): RecreateStep {
  const { deployment, newest, old } = revisions;
  const active = old.filter(isActiveSet);
  if (active.length > 0) return active.map((set) => ({ set, replicas: 0 }));
  if (isOldPodThere || old.some(({ status }) => (status?.replicas ?? 0) > 0)) return "wait";
  if (newest === undefined) return "create";
  const { desired } = rolloutLimits(deployment);
  return replicasOf(newest) === desired ? [] : [{ set: newest, replicas: desired }];
}
