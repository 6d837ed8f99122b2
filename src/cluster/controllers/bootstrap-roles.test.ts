import { afterEach, beforeEach, expect, test } from "bun:test";
import type { KubeObject } from "../../k8s/object.ts";
import { type Binding, CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, type Role } from "../../k8s/rbac.ts";
import { missingRights } from "../../k8s/rbac-coverage.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { openTestStore } from "../../testing/store-fixtures.ts";
import type { Store } from "../store/store.ts";
import { seedRoles } from "./bootstrap-roles.ts";
import { startClusterRoleAggregation } from "./cluster-role-aggregation.ts";

let store: Store;
let clock: ManualClock;

beforeEach(() => {
  clock = new ManualClock();
  store = openTestStore({ clock });
});
afterEach(() => store.close());

const at = (name: string) => ({ namespace: "", name });

function role(name: string): Role {
  const found: KubeObject | undefined = store.get(CLUSTER_ROLES, at(name));
  if (found === undefined) throw new Error(`There is no role ${name}`);
  return found;
}

function rulesOf(name: string) {
  return role(name).rules ?? [];
}

test("seedRoles() makes roles that contain each other, and does nothing the second time", () => {
  seedRoles(store);
  const version = store.resourceVersion();
  seedRoles(store);
  expect(store.resourceVersion()).toBe(version);
  const order = ["view", "edit", "admin", "cluster-admin"];
  for (const [index, name] of order.entries()) {
    const larger = order[index + 1];
    if (larger === undefined) continue;
    expect(missingRights(rulesOf(larger), rulesOf(name))).toEqual([]);
    expect(missingRights(rulesOf(name), rulesOf(larger))).not.toEqual([]);
  }
  expect(JSON.stringify(rulesOf("view"))).not.toContain("secrets");
});

test("seedRoles() gives back what was lost, and leaves what was added", () => {
  seedRoles(store);
  const added = { verbs: ["get"], apiGroups: ["mine"], resources: ["things"] };
  store.update(CLUSTER_ROLES, at("system:discovery"), (current) => ({ ...current, rules: [added] }));
  store.update(CLUSTER_ROLE_BINDINGS, at("system:discovery"), (current) => ({ ...current, subjects: [] }));
  store.delete(CLUSTER_ROLES, at("system:basic-user"));
  seedRoles(store);
  expect(rulesOf("system:discovery")[0]).toEqual(added);
  expect(rulesOf("system:discovery").length).toBeGreaterThan(1);
  const binding = store.get(CLUSTER_ROLE_BINDINGS, at("system:discovery")) as Binding | undefined;
  expect(binding?.subjects?.map(({ name }) => name)).toEqual(["system:authenticated"]);
  expect(rulesOf("system:basic-user")).not.toEqual([]);
});

test("seedRoles() leaves alone what says so", () => {
  seedRoles(store);
  store.update(CLUSTER_ROLES, at("system:discovery"), (current) => ({
    ...current,
    metadata: {
      ...current.metadata,
      annotations: { "rbac.authorization.kubernetes.io/autoupdate": "false" },
    },
    rules: [],
  }));
  seedRoles(store);
  expect(rulesOf("system:discovery")).toEqual([]);
});

test("a role becomes a part of those that select it, and stops being one", async () => {
  seedRoles(store);
  const stop = startClusterRoleAggregation({ store, clock });
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  const rule = { verbs: ["get"], apiGroups: ["example.com"], resources: ["widgets"] };
  store.create(CLUSTER_ROLES, {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "widgets", labels: { "rbac.authorization.k8s.io/aggregate-to-view": "true" } },
    rules: [rule],
  });
  await settle();
  for (const name of ["view", "edit", "admin"]) expect(rulesOf(name)).toContainEqual(rule);
  const version = store.resourceVersion();
  await settle();
  expect(store.resourceVersion()).toBe(version);
  store.delete(CLUSTER_ROLES, at("widgets"));
  await settle();
  for (const name of ["view", "edit", "admin"]) expect(rulesOf(name)).not.toContainEqual(rule);
  stop();
});
