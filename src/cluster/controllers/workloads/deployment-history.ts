/** Which old revisions nobody will roll back to (`cleanupDeployment`). */
import { revisionOf } from "./deployment-annotations.ts";
import { replicasOf, type Revisions } from "./deployment-revision.ts";
import type { StoredReplicaSet } from "./replica-set-owner.ts";

const NO_LIMIT = 0x7fffffff;

/** The oldest revisions beyond the limit, as far as they have no pods left and none on the way. */
export function revisionsToForget({ deployment, old }: Revisions): StoredReplicaSet[] {
  const limit = deployment.spec?.revisionHistoryLimit ?? NO_LIMIT;
  if (limit === NO_LIMIT) return [];
  const kept = old.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const surplus = Math.max(0, kept.length - limit);
  return kept
    .toSorted((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, surplus)
    .filter((set) => {
      const { replicas = 0, observedGeneration = 0 } = set.status ?? {};
      return replicas === 0 && replicasOf(set) === 0 && (set.metadata.generation ?? 0) <= observedGeneration;
    });
}
