import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Event } from "../../../generated/kubernetes.ts";
import { BUDGETS } from "../../k8s/disruption-budget.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { at, CREATED_AT, openTestStore } from "../../testing/store-fixtures.ts";
import type { Store } from "../store/store.ts";
import { startDisruptionBudgetController } from "./disruption-budgets.ts";

let store: Store;
let clock: ManualClock;
let stop: () => void;

beforeEach(() => {
  clock = new ManualClock();
  store = openTestStore({ clock });
  stop = startDisruptionBudgetController({ store, clock });
});
afterEach(() => {
  stop();
  store.close();
});

async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

async function budget(spec: object, status?: object): Promise<void> {
  store.create(BUDGETS, {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: at("web"),
    spec: { selector: { matchLabels: { app: "web" } }, ...spec },
    ...(status === undefined ? {} : { status }),
  });
  await settle();
}

async function pod(name: string, owner?: KubeObject): Promise<void> {
  const { uid = "" } = owner?.metadata ?? {};
  const reference = { apiVersion: "apps/v1", kind: "StatefulSet", name: "db", uid, controller: true };
  store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...at(name),
      labels: { app: "web" },
      ownerReferences: owner === undefined ? [] : [reference],
    },
    spec: { containers: [] },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  });
  await settle();
}

const status = () => store.get(BUDGETS, at("web"))?.["status"];
const condition = (state: string, reason: string, message = "") => [
  {
    type: "DisruptionAllowed",
    status: state,
    reason,
    message,
    observedGeneration: 1,
    lastTransitionTime: CREATED_AT,
  },
];
const events = () =>
  (store.list("events").items as (KubeObject & Event)[]).map(({ type, reason }) => `${type} ${reason}`);

test("the status follows the pods", async () => {
  await budget({ minAvailable: 1 });
  const none = { currentHealthy: 0, desiredHealthy: 1, expectedPods: 0, disruptionsAllowed: 0 };
  const conditions = condition("False", "InsufficientPods");
  expect(status()).toEqual({ ...none, observedGeneration: 1, conditions });
  expect(events()).toEqual(["Normal NoPods"]);
  await pod("a");
  await pod("b");
  expect(status()).toEqual({
    currentHealthy: 2,
    desiredHealthy: 1,
    expectedPods: 2,
    disruptionsAllowed: 1,
    observedGeneration: 1,
    conditions: condition("True", "SufficientPods"),
  });
  store.delete("pods", at("a"), { gracePeriodSeconds: 0 });
  await settle();
  expect(status()).toMatchObject({ currentHealthy: 1, disruptionsAllowed: 0 });
  const before = store.resourceVersion();
  store.update("pods", at("b"), (current) => ({ ...current, spec: { containers: [{ name: "c" }] } }));
  await settle();
  expect(Number(store.resourceVersion())).toBe(Number(before) + 1);
});

test("the status follows the owner's scale", async () => {
  const set = { apiVersion: "apps/v1", kind: "StatefulSet", metadata: at("db"), spec: { replicas: 2 } };
  const owner = store.create("statefulsets.apps", set);
  await pod("a", owner);
  await pod("b", owner);
  await budget({ maxUnavailable: 1 });
  expect(status()).toMatchObject({ expectedPods: 2, desiredHealthy: 1, disruptionsAllowed: 1 });
  store.update("statefulsets.apps", at("db"), (current) => ({ ...current, spec: { replicas: 3 } }));
  await settle();
  expect(status()).toMatchObject({ expectedPods: 3, desiredHealthy: 2, disruptionsAllowed: 0 });
  store.delete("statefulsets.apps", at("db"));
  await settle();
  const message = 'found no controllers for pod "a"';
  expect(status()).toMatchObject({
    disruptionsAllowed: 0,
    conditions: condition("False", "SyncFailed", message),
  });
  expect(events()).toEqual(["Warning CalculateExpectedPodCountFailed"]);
});

test("pods that nobody controls are told of where they cannot be counted", async () => {
  await pod("a");
  await budget({ maxUnavailable: 1 });
  expect(status()).toMatchObject({ expectedPods: 0, disruptionsAllowed: 0 });
  expect(events()).toEqual(["Warning UnmanagedPods"]);
});

test("a pod that was to be disrupted, but stayed, counts again after two minutes", async () => {
  await pod("a");
  await budget({ minAvailable: 0 }, { disruptedPods: { a: CREATED_AT } });
  expect(status()).toMatchObject({ currentHealthy: 0, disruptedPods: { a: CREATED_AT } });
  clock.advance(120_000);
  await settle();
  expect(status()).toMatchObject({ currentHealthy: 1 });
  expect(status()).not.toHaveProperty("disruptedPods");
});
