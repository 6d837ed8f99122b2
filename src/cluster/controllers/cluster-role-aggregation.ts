/** Keeps the rules of ClusterRoles that are made of others up to date (pkg/controller/clusterroleaggregation). */
import { CLUSTER_ROLES, type Role } from "../../k8s/rbac.ts";
import { aggregatedRules, isAggregated } from "../../k8s/rbac-aggregation.ts";
import type { ControllerParts } from "./controller.ts";
import { createWorkQueue } from "./work-queue.ts";

/** Until the returned function is called. */
export function startClusterRoleAggregation({
  store,
  clock,
}: Pick<ControllerParts, "store" | "clock">): () => void {
  const queue = createWorkQueue(clock, (name) => {
    const at = { namespace: "", name };
    const role: Role | undefined = store.get(CLUSTER_ROLES, at);
    if (role === undefined || !isAggregated(role)) return;
    const rules = aggregatedRules(role, store.list(CLUSTER_ROLES).items);
    store.update(CLUSTER_ROLES, at, (current) => ({ ...current, rules }));
  });
  // A change of any of them may be a change of a part, even of one that was a part until now.
  const unwatch = store.watch(CLUSTER_ROLES, {}, ({ type }) => {
    if (type === "BOOKMARK") return;
    for (const role of store.list(CLUSTER_ROLES).items)
      if (isAggregated(role)) queue.add(role.metadata.name ?? "");
  });
  return () => {
    unwatch();
    queue.stop();
  };
}
