import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Event, Pod, StatefulSetSpec } from "../../../../generated/kubernetes.ts";
import { applyDefaults } from "../../../k8s/defaults.ts";
import type { GroupResource, KubeObject } from "../../../k8s/object.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { refuseInvalidNew } from "../../../k8s/validation.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { at, openTestStore } from "../../../testing/store-fixtures.ts";
import type { Store } from "../../store/store.ts";
import { REVISIONS, type ControllerRevision } from "./controller-revisions.ts";
import { STATEFUL_SETS, startStatefulSetController } from "./stateful-set-controller.ts";
import type { StatefulSetObject } from "./stateful-set-identity.ts";

const CLAIMS = "persistentvolumeclaims";

let store: Store;
let clock: ManualClock;
let stop: () => void;
/** What creations of that resource fail with. */
let fault: { resource: string; error: StatusError } | undefined;

beforeEach(() => {
  clock = new ManualClock();
  store = openTestStore({ clock });
  fault = undefined;
  stop = startStatefulSetController({ store, clock, create });
});
afterEach(() => {
  stop();
  store.close();
});

async function create(resource: GroupResource, object: KubeObject): Promise<KubeObject> {
  if (fault?.resource === resource) throw fault.error;
  const defaulted = applyDefaults(object);
  refuseInvalidNew(defaulted, { namespaced: true });
  if (resource !== "pods") return store.create(resource, defaulted);
  const spec = { ...(defaulted as Pod).spec, nodeName: "node-1" };
  return store.create(resource, { ...defaulted, spec, status: { phase: "Pending" } });
}

async function settle(): Promise<void> {
  for (let round = 0; round < 20; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

const template = (image: string) => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "c", image }] },
});
const data = {
  metadata: { name: "data", labels: { of: "template" } },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
};

async function createSet(spec: Partial<StatefulSetSpec> = {}): Promise<void> {
  await create(STATEFUL_SETS, {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: at("web"),
    spec: {
      replicas: 2,
      serviceName: "svc",
      selector: { matchLabels: { app: "web" } },
      template: template("app:1"),
      ...spec,
    },
  });
  await settle();
}

function readSet(): StatefulSetObject {
  return store.get(STATEFUL_SETS, at("web")) as StatefulSetObject;
}

async function change(spec: Partial<StatefulSetSpec>): Promise<void> {
  store.update(STATEFUL_SETS, at("web"), (current) =>
    applyDefaults({ ...current, spec: { ...(current as StatefulSetObject).spec, ...spec } }),
  );
  await settle();
}

function pods(): Pod[] {
  return [...store.list("pods").items];
}

const names = () => pods().map(({ metadata }) => metadata?.name);
const images = () => pods().map(({ spec }) => spec?.containers[0]?.image);

async function makeReady(name: string): Promise<void> {
  const lastTransitionTime = new Date(clock.now()).toISOString();
  store.update(
    "pods",
    at(name),
    (current) => ({
      ...current,
      status: { phase: "Running", conditions: [{ type: "Ready", status: "True", lastTransitionTime }] },
    }),
    { subresource: "status" },
  );
  await settle();
}

async function kill(name: string): Promise<void> {
  store.delete("pods", at(name), { gracePeriodSeconds: 0 });
  await settle();
}

/** What the kubelet does, until there is nothing more to do. */
async function runAll(): Promise<void> {
  for (let round = 0; round < 20; round++) {
    for (const { metadata = {}, status } of pods()) {
      const { name = "", deletionTimestamp } = metadata;
      if (deletionTimestamp !== undefined) await kill(name);
      else if (status?.phase === "Pending") await makeReady(name);
    }
  }
}

function events(): string[] {
  return (store.list("events").items as (KubeObject & Event)[]).map(
    ({ type, reason, message, involvedObject }) => `${type} ${reason} ${involvedObject.kind}: ${message}`,
  );
}

function revisions(): ControllerRevision[] {
  return (store.list(REVISIONS).items as ControllerRevision[]).toSorted(
    (a, b) => (a.revision ?? 0) - (b.revision ?? 0),
  );
}

describe("a new set", () => {
  test("makes one pod after the other, each with its name, labels, host name and claims", async () => {
    await createSet({ volumeClaimTemplates: [data] });
    expect(names()).toEqual(["web-0"]);
    const [revision] = revisions();
    const [pod] = pods();
    expect(pod?.metadata).toMatchObject({
      generateName: "web-",
      labels: {
        app: "web",
        "controller-revision-hash": revision?.metadata.name,
        "statefulset.kubernetes.io/pod-name": "web-0",
        "apps.kubernetes.io/pod-index": "0",
      },
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "StatefulSet",
          name: "web",
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    });
    expect(pod?.spec).toMatchObject({
      hostname: "web-0",
      subdomain: "svc",
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data-web-0" } }],
    });
    const claim = store.get(CLAIMS, at("data-web-0"));
    expect(claim?.metadata.labels).toEqual({ of: "template", app: "web" });
    expect(claim?.metadata.ownerReferences ?? []).toEqual([]);
    await makeReady("web-0");
    expect(names()).toEqual(["web-0", "web-1"]);
    await makeReady("web-1");
    expect(readSet().status).toEqual({
      observedGeneration: 1,
      replicas: 2,
      readyReplicas: 2,
      currentReplicas: 2,
      updatedReplicas: 2,
      availableReplicas: 2,
      currentRevision: revision?.metadata.name ?? "",
      updateRevision: revision?.metadata.name ?? "",
      collisionCount: 0,
    });
    expect(events()).toEqual([
      "Normal SuccessfulCreate StatefulSet: create Claim data-web-0 Pod web-0 in StatefulSet web success",
      "Normal SuccessfulCreate StatefulSet: create Pod web-0 in StatefulSet web successful",
      "Normal SuccessfulCreate StatefulSet: create Claim data-web-1 Pod web-1 in StatefulSet web success",
      "Normal SuccessfulCreate StatefulSet: create Pod web-1 in StatefulSet web successful",
    ]);
  });

  test("makes all at once in parallel, from ordinals.start", async () => {
    await createSet({ podManagementPolicy: "Parallel", ordinals: { start: 3 } });
    expect(names()).toEqual(["web-3", "web-4"]);
  });

  test("waits out minReadySeconds with the clock", async () => {
    await createSet({ minReadySeconds: 10 });
    await makeReady("web-0");
    expect([names(), readSet().status?.readyReplicas, readSet().status?.availableReplicas]).toEqual([
      ["web-0"],
      1,
      0,
    ]);
    clock.advance(10_000);
    await settle();
    expect([names(), readSet().status?.availableReplicas]).toEqual([["web-0", "web-1"], 1]);
  });

  test("says why a pod could not be made, and tries again", async () => {
    fault = { resource: "pods", error: new StatusError("Forbidden", 'pods "web-0" is forbidden: no') };
    await createSet();
    expect([names(), readSet().status?.replicas]).toEqual([[], 0]);
    expect(events()).toEqual([
      'Warning FailedCreate StatefulSet: create Pod web-0 in StatefulSet web failed error: pods "web-0" is forbidden: no',
    ]);
    fault = undefined;
    clock.advance(1000);
    await settle();
    expect(names()).toEqual(["web-0"]);
  });

  test("writes nothing when nothing changed", async () => {
    await createSet();
    await runAll();
    const before = store.resourceVersion();
    store.update("pods", at("web-0"), (current) => ({
      ...current,
      metadata: { ...current.metadata, annotations: { a: "b" } },
    }));
    await settle();
    expect(Number(store.resourceVersion())).toBe(Number(before) + 1);
  });
});

describe("pods", () => {
  test("that failed are replaced by one of the same name and claims", async () => {
    await createSet({ volumeClaimTemplates: [data] });
    await runAll();
    const { uid } = store.get(CLAIMS, at("data-web-1"))?.metadata ?? {};
    store.update("pods", at("web-1"), (current) => ({ ...current, status: { phase: "Failed" } }), {
      subresource: "status",
    });
    await settle();
    await runAll();
    expect(names()).toEqual(["web-0", "web-1"]);
    expect(readSet().status?.readyReplicas).toBe(2);
    expect(store.get(CLAIMS, at("data-web-1"))?.metadata.uid).toBe(uid);
  });

  test("of that name that nobody controls are adopted; others are left alone", async () => {
    const orphan = (name: string) =>
      create("pods", {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { ...at(name), labels: { app: "web" } },
        spec: template("x").spec,
      });
    await orphan("web-0");
    await orphan("stray");
    await createSet();
    const owner = (name: string) => store.get("pods", at(name))?.metadata.ownerReferences?.[0]?.name;
    expect([owner("web-0"), owner("stray")]).toEqual(["web", undefined]);
    expect(store.get("pods", at("web-0"))?.metadata.labels).toMatchObject({
      "statefulset.kubernetes.io/pod-name": "web-0",
    });
  });

  test("go from the highest down when the set shrinks", async () => {
    await createSet({ replicas: 3 });
    await runAll();
    store.update("pods", at("web-2"), (current) => ({
      ...current,
      metadata: { ...current.metadata, finalizers: ["test/held"] },
    }));
    await change({ replicas: 1 });
    await kill("web-2");
    expect(names()).toEqual(["web-0", "web-1", "web-2"]);
    expect(store.get("pods", at("web-1"))?.metadata.deletionTimestamp).toBeUndefined();
    store.update("pods", at("web-2"), (current) => ({
      ...current,
      metadata: { ...current.metadata, finalizers: [] },
    }));
    await settle();
    await runAll();
    expect(names()).toEqual(["web-0"]);
    expect(events().at(-1)).toBe(
      "Normal SuccessfulDelete StatefulSet: delete Pod web-1 in StatefulSet web successful",
    );
  });
});

describe("the retention policy", () => {
  const owners = (name: string) =>
    store.get(CLAIMS, at(name))?.metadata.ownerReferences?.map(({ kind }) => kind) ?? [];

  test("ties claims to the set, and to the pod that goes when the set shrinks", async () => {
    const persistentVolumeClaimRetentionPolicy = { whenDeleted: "Delete", whenScaled: "Delete" };
    await createSet({ volumeClaimTemplates: [data], persistentVolumeClaimRetentionPolicy });
    await runAll();
    expect([owners("data-web-0"), owners("data-web-1")]).toEqual([["StatefulSet"], ["StatefulSet"]]);
    await change({ replicas: 1 });
    expect([owners("data-web-0"), owners("data-web-1")]).toEqual([["StatefulSet"], ["Pod"]]);
    await runAll();
    // The claim goes with the pod it had; until then its successor waits.
    await change({ replicas: 2 });
    expect(names()).toEqual(["web-0"]);
    store.delete(CLAIMS, at("data-web-1"));
    await settle();
    expect([names(), owners("data-web-1")]).toEqual([["web-0", "web-1"], ["StatefulSet"]]);
  });

  test("that retains takes back what an earlier one tied", async () => {
    await createSet({
      volumeClaimTemplates: [data],
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" },
    });
    await runAll();
    await change({ persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" } });
    expect(owners("data-web-0")).toEqual([]);
  });
});

describe("a new template", () => {
  test("is rolled out from the highest ordinal down, and has a revision", async () => {
    await createSet();
    await runAll();
    await change({ template: template("app:2") });
    expect(images()).toEqual(["app:1", "app:1"]);
    const [first, second] = revisions();
    expect(readSet().status).toMatchObject({
      currentRevision: first?.metadata.name,
      updateRevision: second?.metadata.name,
      replicas: 2,
      currentReplicas: 1,
    });
    await runAll();
    expect(images()).toEqual(["app:2", "app:2"]);
    expect(readSet().status).toMatchObject({
      currentRevision: second?.metadata.name,
      updatedReplicas: 2,
      currentReplicas: 2,
    });
    expect(first?.metadata.labels).toMatchObject({ app: "web" });
    expect([first?.revision, second?.revision]).toEqual([1, 2]);
    expect(second?.data).toMatchObject({
      spec: { template: { $patch: "replace", spec: { containers: [{ image: "app:2" }] } } },
    });
  });

  test("that was there before is the newest revision again", async () => {
    await createSet();
    const [first] = revisions();
    await change({ template: template("app:2") });
    await change({ template: template("app:1") });
    expect(
      revisions().map(({ revision, metadata }) => [metadata.name === first?.metadata.name, revision]),
    ).toEqual([
      [false, 2],
      [true, 3],
    ]);
  });

  test("below the partition waits, and a pod that is lost there comes back as it was", async () => {
    await createSet();
    await runAll();
    const updateStrategy = { type: "RollingUpdate", rollingUpdate: { partition: 1 } };
    await change({ updateStrategy, template: template("app:2") });
    await runAll();
    expect(images()).toEqual(["app:1", "app:2"]);
    await kill("web-0");
    clock.advance(500);
    await settle();
    await runAll();
    expect(images()).toEqual(["app:1", "app:2"]);
    expect(readSet().status).toMatchObject({ currentReplicas: 1, updatedReplicas: 1 });
    await change({ updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } } });
    await runAll();
    expect(images()).toEqual(["app:2", "app:2"]);
  });

  test("with OnDelete is taken when a pod is deleted", async () => {
    await createSet({ updateStrategy: { type: "OnDelete" } });
    await runAll();
    await change({ template: template("app:2") });
    await runAll();
    expect(images()).toEqual(["app:1", "app:1"]);
    await kill("web-0");
    clock.advance(500);
    await settle();
    expect(images()).toEqual(["app:2", "app:1"]);
  });

  test("takes the name of a pod it has removed at once, that of one which somebody else has a moment later", async () => {
    await createSet();
    await runAll();
    await change({ template: template("app:2") });
    await kill("web-1");
    expect(images()).toEqual(["app:1", "app:2"]);
    await kill("web-1");
    expect(names()).toEqual(["web-0"]);
    clock.advance(499);
    await settle();
    expect(names()).toEqual(["web-0"]);
    clock.advance(1);
    await settle();
    expect(names()).toEqual(["web-0", "web-1"]);
  });

  test("forgets old revisions beyond the limit", async () => {
    await createSet({ revisionHistoryLimit: 1, replicas: 0 });
    for (const image of ["app:2", "app:3", "app:4"]) await change({ template: template(image) });
    expect(revisions().map(({ revision }) => revision)).toEqual([3, 4]);
  });

  test("gets another name where one is taken by something else", async () => {
    await createSet({ replicas: 0 });
    const [taken] = revisions();
    store.delete(STATEFUL_SETS, at("web"));
    store.update(REVISIONS, at(taken?.metadata.name ?? ""), (current) => ({
      ...current,
      metadata: { ...current.metadata, labels: {}, ownerReferences: [] },
      data: { spec: { template: {} } },
    }));
    await settle();
    await createSet({ replicas: 0 });
    expect(readSet().status?.collisionCount).toBe(1);
    expect(readSet().status?.updateRevision).not.toBe(taken?.metadata.name ?? "");
  });
});
