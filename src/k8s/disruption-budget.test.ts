import { expect, test } from "bun:test";
import type { Pod } from "../../generated/kubernetes.ts";
import { BudgetError, budgetState, covers, type DisruptionBudget } from "./disruption-budget.ts";
import type { KubeObject } from "./object.ts";

const NOW = Date.UTC(2026, 0, 1);

function object(kind: string, name: string, rest: object = {}): KubeObject {
  return { apiVersion: "apps/v1", kind, metadata: { name, uid: name }, ...rest };
}

function owner(kind: string, name: string) {
  return [{ apiVersion: "apps/v1", kind, name, uid: name, controller: true }];
}

const objects: Record<string, KubeObject> = {
  "replicasets.apps/rs": object("ReplicaSet", "rs", { spec: { replicas: 4 } }),
  "deployments.apps/web": object("Deployment", "web", { spec: { replicas: 10 } }),
  "statefulsets.apps/db": object("StatefulSet", "db", { spec: { replicas: 3 } }),
};
for (const name of ["rs-old", "rs-new"])
  objects[`replicasets.apps/${name}`] = {
    ...object("ReplicaSet", name, { spec: { replicas: 7 } }),
    metadata: { name, uid: name, ownerReferences: owner("Deployment", "web") },
  };

const podOf = (name: string, ownerReferences: ReturnType<typeof owner> | undefined, ready = true): Pod => ({
  metadata: { name, namespace: "default", ...(ownerReferences === undefined ? {} : { ownerReferences }) },
  status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});

function stateOf(spec: DisruptionBudget["spec"], pods: Pod[], disruptedPods: Record<string, string> = {}) {
  const budget: DisruptionBudget = {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: {},
    spec: spec ?? {},
    status: { disruptedPods },
  };
  return budgetState({
    budget,
    pods,
    now: NOW,
    read: (resource, { name }) => objects[`${resource}/${name}`],
  });
}

const two = (kind: string, name: string) => [podOf("a", owner(kind, name)), podOf("b", owner(kind, name))];

test.each<[string, DisruptionBudget["spec"], Pod[], [number, number, number, number]]>([
  ["a number that must be there", { minAvailable: 1 }, two("ReplicaSet", "rs"), [2, 1, 2, 1]],
  ["a number, though nobody controls the pods", { minAvailable: 1 }, [podOf("a", undefined)], [1, 1, 1, 0]],
  ["a share of what the owner wants", { minAvailable: "50%" }, two("ReplicaSet", "rs"), [2, 2, 4, 0]],
  ["a share, rounded up", { minAvailable: "50%" }, two("StatefulSet", "db"), [2, 2, 3, 0]],
  ["a number that may be missing", { maxUnavailable: 2 }, two("StatefulSet", "db"), [2, 1, 3, 1]],
  [
    "a share that may be missing, rounded up",
    { maxUnavailable: "50%" },
    two("StatefulSet", "db"),
    [2, 1, 3, 1],
  ],
  [
    "a Deployment once, whichever of its ReplicaSets the pods have",
    { maxUnavailable: 9 },
    [podOf("a", owner("ReplicaSet", "rs-old")), podOf("b", owner("ReplicaSet", "rs-new"))],
    [2, 1, 10, 1],
  ],
  [
    "every owner",
    { maxUnavailable: 6 },
    [podOf("a", owner("ReplicaSet", "rs")), podOf("b", owner("StatefulSet", "db"))],
    [2, 1, 7, 1],
  ],
  ["no pods that nobody controls", { maxUnavailable: 1 }, [podOf("a", undefined)], [1, 0, 0, 0]],
  [
    "only what is ready",
    { minAvailable: 1 },
    [podOf("a", undefined), podOf("b", undefined, false)],
    [1, 1, 2, 0],
  ],
  ["nothing where there is nothing", { minAvailable: 0 }, [], [0, 0, 0, 0]],
])("a budget counts %s", (_what, spec, pods, expected) => {
  const { currentHealthy, desiredHealthy, expectedPods, disruptionsAllowed } = stateOf(spec, pods);
  expect([currentHealthy, desiredHealthy, expectedPods, disruptionsAllowed]).toEqual(expected);
});

test("a pod that is about to go does not count, for two minutes", () => {
  const since = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();
  const pods = two("ReplicaSet", "rs");
  const fresh = stateOf({ minAvailable: 1 }, pods, { a: since(119), gone: since(1) });
  expect([fresh.currentHealthy, fresh.disruptedPods]).toEqual([1, { a: since(119) }]);
  const stale = stateOf({ minAvailable: 1 }, pods, { a: since(120) });
  expect([stale.currentHealthy, stale.disruptedPods]).toEqual([2, {}]);
});

test.each([
  ["has no scale", owner("Job", "x")],
  ["is gone", owner("ReplicaSet", "none")],
  ["is another one by now", [{ ...owner("ReplicaSet", "rs")[0], uid: "other" }] as ReturnType<typeof owner>],
])("an owner that %s leaves the number open", (_what, references) => {
  expect(() => stateOf({ maxUnavailable: 1 }, [podOf("a", references)])).toThrow(
    new BudgetError('found no controllers for pod "a"'),
  );
});

test("an absent selector covers nothing, an empty one everything", () => {
  const budget = (spec: DisruptionBudget["spec"]): DisruptionBudget => ({
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: {},
    ...(spec === undefined ? {} : { spec }),
  });
  const pod = podOf("a", undefined);
  expect([covers(budget(undefined), pod), covers(budget({ selector: {} }), pod)]).toEqual([false, true]);
});
