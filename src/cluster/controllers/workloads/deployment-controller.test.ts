import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { StatusError } from "../../../k8s/status-error.ts";
import { startDeploymentController } from "./deployment-controller.ts";
import { startReplicaSetController } from "./replica-set-controller.ts";
import { ReplicaWorld, templateOf } from "./replica-set.test-support.ts";

let world: ReplicaWorld;

beforeEach(() => {
  world = new ReplicaWorld(startReplicaSetController, startDeploymentController);
});
afterEach(() => world[Symbol.dispose]());

const nameOfSet = (revision: number) =>
  world.sets.find(
    ({ metadata }) => metadata.annotations?.["deployment.kubernetes.io/revision"] === String(revision),
  )?.metadata.name ?? `no revision ${revision}`;

const conditions = () =>
  Object.fromEntries(
    (world.deployment().status?.conditions ?? []).map(({ type, status, reason, message }) => [
      type,
      `${status} ${reason}: ${message}`,
    ]),
  );

describe("a new Deployment", () => {
  test("makes a ReplicaSet named for its template, and that makes pods [D2, D8, D9]", async () => {
    const before = await world.deploy({ replicas: 3 });
    const [set] = world.sets;
    const hash = set?.metadata.labels?.["pod-template-hash"] ?? "";
    expect(hash).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{8,10}$/);
    expect(set).toMatchObject({
      metadata: {
        name: `web-${hash}`,
        labels: { app: "web", "pod-template-hash": hash },
        annotations: {
          "deployment.kubernetes.io/desired-replicas": "3",
          "deployment.kubernetes.io/max-replicas": "4",
          "deployment.kubernetes.io/revision": "1",
        },
        ownerReferences: [{ kind: "Deployment", name: "web", controller: true, blockOwnerDeletion: true }],
      },
      spec: { replicas: 3, selector: { matchLabels: { app: "web", "pod-template-hash": hash } } },
    });
    expect(world.pods.map(({ metadata }) => metadata.name?.startsWith(`web-${hash}-`))).toEqual([
      true,
      true,
      true,
    ]);
    expect(before.metadata).toMatchObject({
      generation: 1,
      annotations: { "deployment.kubernetes.io/revision": "1" },
    });
    expect(conditions()).toEqual({
      Progressing: `True ReplicaSetUpdated: ReplicaSet "web-${hash}" is progressing.`,
      Available: "False MinimumReplicasUnavailable: Deployment does not have minimum availability.",
    });
    await world.runAll();
    expect(conditions()).toEqual({
      Progressing: `True NewReplicaSetAvailable: ReplicaSet "web-${hash}" has successfully progressed.`,
      Available: "True MinimumReplicasAvailable: Deployment has minimum availability.",
    });
    const { conditions: _, ...counts } = world.deployment().status ?? {};
    expect(counts).toEqual({
      observedGeneration: 1,
      replicas: 3,
      updatedReplicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
      terminatingReplicas: 0,
    });
    expect(world.events("Deployment")).toEqual([
      `Normal ScalingReplicaSet: Scaled up replica set web-${hash} from 0 to 3`,
    ]);
  });

  test("does nothing more once it is there", async () => {
    await world.deploy({ replicas: 2 });
    await world.runAll();
    const version = world.store.resourceVersion();
    await world.advance(3_600_000);
    expect(world.store.resourceVersion()).toBe(version);
  });
});

describe("a changed template", () => {
  test("is rolled out in steps, and the old ReplicaSet stays without pods [D3, D5, D8, D10]", async () => {
    await world.deploy({ replicas: 4 });
    await world.runAll();
    await world.change(() => ({ template: templateOf("v2") }));
    await world.runAll();
    expect(world.active.map(({ spec }) => spec?.containers[0]?.image)).toEqual(["v2", "v2", "v2", "v2"]);
    const [first, second] = [nameOfSet(1), nameOfSet(2)];
    expect(world.events("Deployment")).toEqual([
      `Normal ScalingReplicaSet: Scaled up replica set ${first} from 0 to 4`,
      `Normal ScalingReplicaSet: Scaled up replica set ${second} from 0 to 1`,
      `Normal ScalingReplicaSet: Scaled down replica set ${first} from 4 to 3`,
      `Normal ScalingReplicaSet: Scaled up replica set ${second} from 1 to 2`,
      `Normal ScalingReplicaSet: Scaled down replica set ${first} from 3 to 1`,
      `Normal ScalingReplicaSet: Scaled up replica set ${second} from 2 to 4`,
      `Normal ScalingReplicaSet: Scaled down replica set ${first} from 1 to 0`,
    ]);
  });
});

describe("a Deployment that", () => {
  test("recreates waits until every old pod is gone [D6]", async () => {
    await world.deploy({ replicas: 2, strategy: { type: "Recreate" } });
    await world.runAll();
    await world.change(() => ({ template: templateOf("v2") }));
    expect([world.active.length, world.pods.length, world.sets.length]).toEqual([0, 2, 1]);
    world.reap();
    await world.settle();
    expect(world.active.map(({ spec }) => spec?.containers[0]?.image)).toEqual(["v2", "v2"]);
  });

  test("goes back to an old template gives the old ReplicaSet a new number [D8]", async () => {
    await world.deploy();
    await world.runAll();
    const first = nameOfSet(1);
    await world.change(() => ({ template: templateOf("v2") }));
    await world.runAll();
    await world.change(() => ({ template: templateOf("v1") }));
    await world.runAll();
    expect(nameOfSet(3)).toBe(first);
    expect(world.sets.find(({ metadata }) => metadata.name === first)?.metadata.annotations).toMatchObject({
      "deployment.kubernetes.io/revision-history": "1",
    });
    expect(world.deployment().metadata).toMatchObject({
      generation: 3,
      annotations: { "deployment.kubernetes.io/revision": "3" },
    });
  });

  test("has had many templates keeps as many old ReplicaSets as it should [D8]", async () => {
    await world.deploy({ revisionHistoryLimit: 1 });
    for (const image of ["v2", "v3", "v4"]) {
      await world.runAll();
      await world.change(() => ({ template: templateOf(image) }));
    }
    await world.runAll();
    expect([nameOfSet(2), nameOfSet(3), world.sets.length]).toEqual([
      "no revision 2",
      expect.stringMatching(/^web-/),
      2,
    ]);
  });

  test("does not get on in time says so, and is not rolled back [D9]", async () => {
    await world.deploy({ progressDeadlineSeconds: 60 });
    await world.advance(59_000);
    expect(conditions()["Progressing"]).toStartWith("True ReplicaSetUpdated");
    await world.advance(3_000);
    expect(conditions()["Progressing"]).toBe(
      `False ProgressDeadlineExceeded: ReplicaSet "${nameOfSet(1)}" has timed out progressing.`,
    );
    await world.runAll();
    expect(conditions()["Progressing"]).toStartWith("True NewReplicaSetAvailable");
  });

  test("is paused does not roll out, but is scaled in proportion [D16]", async () => {
    const rollingUpdate = { maxSurge: 3, maxUnavailable: 2 };
    await world.deploy({ replicas: 10, strategy: { type: "RollingUpdate", rollingUpdate } });
    await world.runAll();
    await world.change(() => ({ template: templateOf("v2") }));
    const sizes = () =>
      [1, 2].map((n) => world.sets.find((s) => s.metadata.name === nameOfSet(n))?.spec?.replicas);
    expect(sizes()).toEqual([8, 5]);
    await world.change(() => ({ paused: true, replicas: 15 }));
    expect([sizes(), conditions()["Progressing"]]).toEqual([
      [11, 7],
      "Unknown DeploymentPaused: Deployment is paused",
    ]);
    await world.change(() => ({ paused: false }));
    await world.runAll();
    expect(sizes()).toEqual([0, 15]);
    expect(conditions()["Progressing"]).toStartWith("True NewReplicaSetAvailable");
  });

  test("may not make its ReplicaSet, or whose ReplicaSet cannot make pods, says why [D9]", async () => {
    world.refuse = (resource) =>
      resource === "deployments.apps" ? undefined : new StatusError("Forbidden", "no more of these");
    await world.deploy();
    expect(conditions()["Progressing"]).toMatch(
      /^False ReplicaSetCreateError: Failed to create new replica set "web-\w+": no more of these$/,
    );
    world.refuse = (resource) => (resource === "pods" ? new StatusError("Forbidden", "no pods") : undefined);
    await world.advance(1_000);
    expect(conditions()["ReplicaFailure"]).toBe("True FailedCreate: no pods");
    world.refuse = () => undefined;
    await world.advance(1_000);
    await world.runAll();
    expect(conditions()["ReplicaFailure"]).toBeUndefined();
    expect(world.active.length).toBe(1);
  });
});
