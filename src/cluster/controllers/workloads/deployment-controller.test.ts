import { afterEach, beforeEach, describe, expect, test } from "bun:test";
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
