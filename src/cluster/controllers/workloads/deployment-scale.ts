/** How a Deployment hands a new size on to its ReplicaSets, in proportion where several have pods (`sync.go`, `scale`). */
import { countIn, DESIRED_REPLICAS, MAX_REPLICAS } from "./deployment-annotations.ts";
import { isRollingUpdate, mostReplicas } from "./deployment-limits.ts";
import {
  allSets,
  byCreation,
  isActiveSet,
  replicasOf,
  replicasTogether,
  type Revisions,
  type StoredDeployment,
} from "./deployment-revision.ts";
import type { Scaling } from "./deployment-steps.ts";
import type { StoredReplicaSet } from "./replica-set-owner.ts";

/** Whether the size was changed since the ReplicaSets heard of it (`isScalingEvent`). */
export function isScaled(revisions: Revisions): boolean {
  const desired = revisions.deployment.spec?.replicas ?? 0;
  return allSets(revisions)
    .filter(isActiveSet)
    .some(({ metadata }) => {
      const known = countIn(metadata.annotations, DESIRED_REPLICAS);
      return known !== undefined && known !== desired;
    });
}

/** ReplicaSets that keep their size are there too: they have to hear of the Deployment's. */
export function planScaling(revisions: Revisions): Scaling[] {
  const { deployment, newest, old } = revisions;
  const desired = deployment.spec?.replicas ?? 0;
  const only = activeOrLatest(revisions);
  if (only !== undefined) return [{ set: only, replicas: desired }];
  if (newest !== undefined && isSaturated(deployment, newest)) {
    return old.filter(isActiveSet).map((set) => ({ set, replicas: 0 }));
  }
  return isRollingUpdate(deployment)
    ? planProportions(deployment, allSets(revisions).filter(isActiveSet))
    : [];
}

/** The only one with pods; where none has any, the newest. `undefined` when several have, or there is none at all. */
function activeOrLatest(revisions: Revisions): StoredReplicaSet | undefined {
  const active = allSets(revisions).filter(isActiveSet);
  if (active.length > 1) return undefined;
  return active[0] ?? revisions.newest ?? revisions.old.toSorted(byCreation).at(-1);
}

/** The rollout is over but for the old ones. */
function isSaturated(deployment: StoredDeployment, set: StoredReplicaSet): boolean {
  const desired = deployment.spec?.replicas ?? 0;
  return (
    replicasOf(set) === desired &&
    countIn(set.metadata.annotations, DESIRED_REPLICAS) === desired &&
    (set.status?.availableReplicas ?? 0) === desired
  );
}

/** The largest first, and of equals the newer one when growing, the older when shrinking; it gets what is left over. */
function planProportions(deployment: StoredDeployment, active: readonly StoredReplicaSet[]): Scaling[] {
  const desired = deployment.spec?.replicas ?? 0;
  const toAdd = (desired === 0 ? 0 : mostReplicas(deployment)) - replicasTogether(active);
  const newerFirst = toAdd > 0 ? -1 : 1;
  const sorted = active.toSorted((a, b) => replicasOf(b) - replicasOf(a) || newerFirst * byCreation(a, b));
  if (toAdd === 0) return sorted.map((set) => ({ set, replicas: replicasOf(set) }));
  let added = 0;
  const sizes = sorted.map((set) => {
    const share = shareOf(deployment, set, toAdd - added);
    added += share;
    return { set, replicas: replicasOf(set) + share };
  });
  const rest = toAdd - added;
  return sizes.map(({ set, replicas }, index) => ({
    set,
    replicas: index === 0 ? Math.max(0, replicas + rest) : replicas,
  }));
}

/** Never more than is left to be given, or taken (`GetReplicaSetProportion`). */
function shareOf(deployment: StoredDeployment, set: StoredReplicaSet, left: number): number {
  if (left === 0) return 0;
  const fraction = fractionOf(deployment, set);
  return left > 0 ? Math.min(fraction, left) : Math.max(fraction, left);
}

/** By how much the ReplicaSet grows when it keeps its part of the whole (`getReplicaSetFraction`). */
function fractionOf(deployment: StoredDeployment, set: StoredReplicaSet): number {
  const size = replicasOf(set);
  if ((deployment.spec?.replicas ?? 0) === 0) return -size;
  const before = countIn(set.metadata.annotations, MAX_REPLICAS) || (deployment.status?.replicas ?? 0);
  if (before === 0) return 0;
  return Math.round((size * mostReplicas(deployment)) / before) - size;
}
