import { afterEach, beforeEach, expect, test } from "bun:test";
import type { DaemonSetSpec, Event, Node, Pod } from "../../../../generated/kubernetes.ts";
import { applyDefaults } from "../../../k8s/defaults.ts";
import { whyUnfit } from "../../../k8s/node-fit.ts";
import type { GroupResource, KubeObject } from "../../../k8s/object.ts";
import { refuseInvalidNew } from "../../../k8s/validation.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { at, openTestStore } from "../../../testing/store-fixtures.ts";
import type { Store } from "../../store/store.ts";
import { REVISIONS } from "./controller-revisions.ts";
import { DAEMON_SETS, startDaemonSetController } from "./daemon-set-controller.ts";
import type { DaemonSetObject } from "./daemon-set-pod.ts";

let store: Store;
let clock: ManualClock;
let stop: () => void;

beforeEach(() => {
  clock = new ManualClock();
  store = openTestStore({ clock });
  store.create("nodes", {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "node-1", labels: { disk: "ssd" } },
  });
  stop = startDaemonSetController({ store, clock, create });
});
afterEach(() => {
  stop();
  store.close();
});

/** Pods that fit the node are put onto it, as the API does. */
async function create(resource: GroupResource, object: KubeObject): Promise<KubeObject> {
  const defaulted = applyDefaults(object);
  if (resource !== "pods") refuseInvalidNew(defaulted, { namespaced: true });
  if (resource !== "pods") return store.create(resource, defaulted);
  const fits = whyUnfit(defaulted, readNode()) === undefined;
  const spec = { ...(defaulted as Pod).spec, ...(fits ? { nodeName: "node-1" } : {}) };
  return store.create(resource, { ...defaulted, spec, status: { phase: "Pending" } });
}

async function settle(): Promise<void> {
  for (let round = 0; round < 20; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

const template = (image: string, spec: object = {}) => ({
  metadata: { labels: { app: "agent" } },
  spec: { containers: [{ name: "c", image }], ...spec },
});

async function createSet(spec: Partial<DaemonSetSpec> = {}): Promise<void> {
  await create(DAEMON_SETS, {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: at("agent"),
    spec: { selector: { matchLabels: { app: "agent" } }, template: template("app:1"), ...spec },
  });
  await settle();
}

function readNode(): Node {
  return store.get("nodes", { namespace: "", name: "node-1" }) ?? {};
}

async function changeNode(node: Node): Promise<void> {
  store.update("nodes", { namespace: "", name: "node-1" }, (current) => ({ ...current, ...node }));
  await settle();
}

function readSet(): DaemonSetObject {
  return store.get(DAEMON_SETS, at("agent")) as DaemonSetObject;
}

function pods(): Pod[] {
  return [...store.list("pods").items];
}

const images = () => pods().map(({ spec }) => spec?.containers[0]?.image);

async function setPhase(phase: string): Promise<void> {
  const lastTransitionTime = new Date(clock.now()).toISOString();
  const conditions = phase === "Running" ? [{ type: "Ready", status: "True", lastTransitionTime }] : [];
  for (const { metadata = {} } of pods())
    store.update(
      "pods",
      at(metadata.name ?? ""),
      (current) => ({ ...current, status: { phase, conditions } }),
      {
        subresource: "status",
      },
    );
  await settle();
}

async function endLeaving(): Promise<void> {
  for (const { metadata = {} } of pods())
    if (metadata.deletionTimestamp !== undefined)
      store.delete("pods", at(metadata.name ?? ""), { gracePeriodSeconds: 0 });
  await settle();
}

const events = () =>
  (store.list("events").items as (KubeObject & Event)[]).map(({ type, reason, message = "" }) =>
    `${type} ${reason}: ${message}`.replace(/agent-\w{5}\b/, "agent-x"),
  );

test("a node gets one pod, which belongs to it and tolerates its troubles", async () => {
  await createSet();
  const [pod] = pods();
  const hash = store.list(REVISIONS).items[0]?.metadata.labels?.["controller-revision-hash"] ?? "";
  expect(pod?.metadata?.labels).toEqual({ app: "agent", "controller-revision-hash": hash });
  expect(pod?.metadata?.ownerReferences).toMatchObject([
    { kind: "DaemonSet", name: "agent", controller: true },
  ]);
  expect(pod?.spec?.nodeName).toBe("node-1");
  expect(pod?.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution).toEqual({
    nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["node-1"] }] }],
  });
  expect(pod?.spec?.tolerations).toContainEqual({
    key: "node.kubernetes.io/unschedulable",
    operator: "Exists",
    effect: "NoSchedule",
  });
  expect(readSet().status).toEqual({
    currentNumberScheduled: 1,
    desiredNumberScheduled: 1,
    numberMisscheduled: 0,
    numberReady: 0,
    numberUnavailable: 1,
    observedGeneration: 1,
    updatedNumberScheduled: 1,
  });
  await setPhase("Running");
  expect(readSet().status).toMatchObject({ numberReady: 1, numberAvailable: 1 });
  expect(events()).toEqual(["Normal SuccessfulCreate: Created pod: agent-x"]);
});

test("a pod counts as available after minReadySeconds", async () => {
  await createSet({ minReadySeconds: 5 });
  await setPhase("Running");
  expect(readSet().status?.numberAvailable).toBeUndefined();
  clock.advance(5000);
  await settle();
  expect(readSet().status?.numberAvailable).toBe(1);
});

test("the node must be wanted, and its taints tolerated", async () => {
  await createSet({ template: template("app:1", { nodeSelector: { disk: "hdd" } }) });
  expect([pods(), readSet().status?.desiredNumberScheduled]).toEqual([[], 0]);
  const { metadata } = readNode();
  await changeNode({ metadata: { ...metadata, labels: { disk: "hdd" } } });
  expect(pods()).toHaveLength(1);
  await changeNode({ spec: { taints: [{ key: "a", effect: "NoSchedule" }] } });
  expect([pods().length, readSet().status?.numberMisscheduled]).toEqual([1, 1]);
  await changeNode({ spec: { taints: [{ key: "a", effect: "NoExecute" }] } });
  await endLeaving();
  expect(pods()).toEqual([]);
});

test("a cordoned node keeps and gets its pods", async () => {
  await changeNode({
    spec: {
      unschedulable: true,
      taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }],
    },
  });
  await createSet();
  expect(pods()[0]?.spec?.nodeName).toBe("node-1");
});

test("a pod that failed is replaced, then with growing pauses", async () => {
  await createSet();
  await setPhase("Failed");
  await endLeaving();
  expect(pods().map(({ status }) => status?.phase)).toEqual(["Pending"]);
  await setPhase("Failed");
  expect(pods()[0]?.metadata?.deletionTimestamp).toBeUndefined();
  clock.advance(1000);
  await settle();
  await endLeaving();
  expect(pods().map(({ status }) => status?.phase)).toEqual(["Pending"]);
  expect(events()).toContain(
    "Warning FailedDaemonPod: Found failed daemon pod default/agent-x on node node-1, will try to kill it",
  );
});

async function changeTemplate(image: string): Promise<void> {
  store.update(DAEMON_SETS, at("agent"), (current) =>
    applyDefaults({ ...current, spec: { ...(current as DaemonSetObject).spec, template: template(image) } }),
  );
  await settle();
}

test("a new template is rolled out, and the way back is kept", async () => {
  await createSet();
  await setPhase("Running");
  await changeTemplate("app:2");
  await endLeaving();
  expect(images()).toEqual(["app:2"]);
  await setPhase("Running");
  expect(readSet().status).toMatchObject({ updatedNumberScheduled: 1, numberAvailable: 1 });
  await changeTemplate("app:1");
  const numbers = store.list(REVISIONS).items.map((one) => one["revision"]);
  expect(new Set(numbers)).toEqual(new Set([2, 3]));
});

test("with maxSurge the new pod is there before the old one goes", async () => {
  await createSet({
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
  });
  await setPhase("Running");
  await changeTemplate("app:2");
  expect(new Set(images())).toEqual(new Set(["app:1", "app:2"]));
  await setPhase("Running");
  await endLeaving();
  expect(images()).toEqual(["app:2"]);
});

test("with OnDelete nothing happens by itself", async () => {
  await createSet({ updateStrategy: { type: "OnDelete" } });
  await setPhase("Running");
  await changeTemplate("app:2");
  expect(images()).toEqual(["app:1"]);
  expect(readSet().status?.updatedNumberScheduled).toBeUndefined();
});
