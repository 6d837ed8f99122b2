import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ReplicaSet } from "../../../../generated/kubernetes.ts";
import { applyDefaults } from "../../../k8s/defaults.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { startReplicaSetController, startReplicationController } from "./replica-set-controller.ts";
import { at, ReplicaWorld, templateOf } from "./replica-set.test-support.ts";

const SETS = "replicasets.apps";
let world: ReplicaWorld;

beforeEach(() => {
  world = new ReplicaWorld(startReplicaSetController, startReplicationController);
});
afterEach(() => world[Symbol.dispose]());

async function replicaSet(replicas: number, spec: object = {}): Promise<void> {
  await world.create(SETS, {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: at("web"),
    spec: { replicas, selector: { matchLabels: { app: "web" } }, template: templateOf("v1"), ...spec },
  });
  await world.settle();
}

async function scale(replicas: number): Promise<void> {
  world.store.update(SETS, at("web"), (set: KubeObject & ReplicaSet) => ({
    ...set,
    spec: { ...set.spec, replicas },
  }));
  await world.settle();
}

const status = () => (world.store.get(SETS, at("web")) as ReplicaSet | undefined)?.status;

describe("a ReplicaSet", () => {
  test("makes its pods, says so, and counts them", async () => {
    await replicaSet(2);
    const names = world.pods.map(({ metadata }) => metadata.name ?? "");
    expect(world.events("ReplicaSet").sort()).toEqual(
      names.map((name) => `Normal SuccessfulCreate: Created pod: ${name}`).sort(),
    );
    const [pod] = world.pods;
    if (pod !== undefined) world.run(pod, true);
    await world.settle();
    expect(status()).toEqual({
      replicas: 2,
      fullyLabeledReplicas: 2,
      readyReplicas: 1,
      availableReplicas: 1,
      terminatingReplicas: 0,
      observedGeneration: 1,
    });
  });

  test("replaces what ends or has ended, and leaves finished pods alone [D12, D13]", async () => {
    await replicaSet(3);
    const [ending, failed] = world.pods;
    if (failed !== undefined) world.setStatus(failed, { phase: "Failed" });
    if (ending !== undefined) {
      world.run(ending, true);
      world.store.delete("pods", at(ending.metadata.name ?? ""));
    }
    await world.settle();
    expect([world.pods.length, world.active.length, status()?.terminatingReplicas]).toEqual([5, 3, 1]);
    expect(world.pods.some(({ metadata }) => metadata.uid === failed?.metadata.uid)).toBe(true);
  });

  test("deletes those that are missed least when there are too many [D11]", async () => {
    await replicaSet(3);
    const [first, second] = world.pods;
    if (first !== undefined) world.run(first, true);
    if (second !== undefined) world.run(second, false);
    await scale(1);
    expect(world.active.map(({ metadata }) => metadata.name)).toEqual([first?.metadata.name]);
    expect(world.events("ReplicaSet")).toContain(
      `Normal SuccessfulDelete: Deleted pod: ${second?.metadata.name ?? ""}`,
    );
  });

  test("counts a pod as available when it has been ready for long enough [D7]", async () => {
    await replicaSet(1, { minReadySeconds: 10 });
    await world.runAll();
    expect([status()?.readyReplicas, status()?.availableReplicas]).toEqual([1, 0]);
    await world.advance(9_000);
    expect(status()?.availableReplicas).toBe(0);
    await world.advance(1_000);
    expect(status()?.availableReplicas).toBe(1);
  });

  test("tries one pod where the first is refused, tells of it, and goes on when it can [D13]", async () => {
    world.refuse = (resource) =>
      resource === "pods" ? new StatusError("Forbidden", "exceeded quota") : undefined;
    world.tried = 0;
    await replicaSet(50);
    // The ReplicaSet itself, its first look, and the one that its own status brought.
    expect(world.tried).toBe(3);
    expect(status()?.conditions).toMatchObject([
      { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "exceeded quota" },
    ]);
    expect(world.events("ReplicaSet")).toEqual(["Warning FailedCreate: Error creating: exceeded quota"]);
    world.refuse = () => undefined;
    await world.advance(1_000);
    expect([world.pods.length, status()?.conditions]).toEqual([50, undefined]);
  });

  test("adopts what it selects and nobody controls, and releases what it no longer selects [D15]", async () => {
    const orphan = { apiVersion: "v1", kind: "Pod", metadata: { ...at("lone"), labels: { app: "web" } } };
    await world.create("pods", { ...orphan, spec: templateOf("v1").spec });
    await replicaSet(1);
    expect(world.pods.map(({ metadata }) => [metadata.name, metadata.ownerReferences?.[0]?.name])).toEqual([
      ["lone", "web"],
    ]);
    world.store.update("pods", at("lone"), (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, labels: { app: "other" } },
    }));
    await world.settle();
    expect(world.pods.length).toBe(2);
    expect(world.store.get("pods", at("lone"))?.metadata.ownerReferences).toEqual([]);
  });
});

test("a ReplicationController that misses its own pods, which the API refuses, makes none", async () => {
  const controller = applyDefaults({
    apiVersion: "v1",
    kind: "ReplicationController",
    metadata: at("old"),
    spec: { replicas: 2, template: templateOf("v1"), selector: { app: "other" } },
  });
  world.store.create("replicationcontrollers", controller);
  await world.settle();
  expect(world.pods).toEqual([]);
});

test("a ReplicationController does the same with its older selector", async () => {
  await world.create("replicationcontrollers", {
    apiVersion: "v1",
    kind: "ReplicationController",
    metadata: at("old"),
    spec: { replicas: 2, selector: { app: "web" }, template: templateOf("v1") },
  });
  await world.settle();
  await world.runAll();
  expect(world.active.length).toBe(2);
  expect(world.store.get("replicationcontrollers", at("old"))?.["status"]).toMatchObject({
    replicas: 2,
    availableReplicas: 2,
  });
});
