import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { LabelSelector } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { openTestStore } from "../../../testing/store-fixtures.ts";
import type { Store } from "../../store/store.ts";
import { controllerReference } from "../controller.ts";
import { followPods, ownersOf, type Ownership } from "./follow-pods.ts";

const SETS = "replicasets.apps";
const NAMESPACE = "default";

let store: Store;
let woken: string[];
let stop: (() => void) | undefined;

beforeEach(() => {
  store = openTestStore();
  woken = [];
  stop = undefined;
});
afterEach(() => {
  stop?.();
  store.close();
});

interface Owner extends KubeObject {
  readonly spec?: { readonly selector?: LabelSelector; readonly paused?: boolean };
}

function ownership(rest: Partial<Ownership> = {}): Ownership {
  return {
    store,
    resource: SETS,
    kind: "ReplicaSet",
    selectorOf: (owner) => (owner as Owner).spec?.selector,
    ...rest,
  };
}

function createSet(name: string, selector?: object): KubeObject {
  return store.create(SETS, {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name, namespace: NAMESPACE },
    spec: { selector },
  });
}

function createPod(
  name: string,
  { labels = {}, owner }: { labels?: Record<string, string>; owner?: KubeObject } = {},
) {
  const ownerReferences = owner === undefined ? [] : [controllerReference(owner)];
  return store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NAMESPACE, labels, ownerReferences },
    spec: { containers: [] },
  });
}

const names = (owners: readonly KubeObject[]) =>
  owners.map(({ metadata: { name = "" } }) => name).toSorted((a, b) => a.localeCompare(b));
const app = (value: string) => ({ matchLabels: { app: value } });

describe("ownersOf()", () => {
  test("is who controls it, whatever others select", () => {
    const [mine] = [createSet("mine", app("x")), createSet("other", app("y"))];
    expect(names(ownersOf(ownership(), createPod("p", { labels: { app: "y" }, owner: mine })))).toEqual([
      "mine",
    ]);
  });

  test("is nobody where another kind controls it, or one of that name that is gone", () => {
    const mine = createSet("mine", app("x"));
    const pod = createPod("p", { labels: { app: "x" }, owner: { ...mine, kind: "Job" } });
    expect(ownersOf(ownership(), pod)).toEqual([]);
    const former = { ...mine, metadata: { ...mine.metadata, uid: "former" } };
    expect(ownersOf(ownership(), createPod("q", { owner: former }))).toEqual([]);
  });

  test("are all whose selectors find what nobody controls; a selector that is none finds nothing", () => {
    createSet("one", app("x"));
    createSet("two", { matchExpressions: [{ key: "app", operator: "Exists" }] });
    createSet("three", app("y"));
    createSet("broken", { matchExpressions: [{ key: "app", operator: "Like" }] });
    createSet("without");
    expect(names(ownersOf(ownership(), createPod("p", { labels: { app: "x" } })))).toEqual(["one", "two"]);
  });

  test("leaves out who does not care, controlling or not", () => {
    const mine = createSet("mine", app("x"));
    const careless = ownership({ cares: ({ metadata }) => metadata.name !== "mine" });
    expect(ownersOf(careless, createPod("p", { labels: { app: "x" } }))).toEqual([]);
    expect(ownersOf(careless, createPod("q", { owner: mine }))).toEqual([]);
  });
});

describe("followPods()", () => {
  const follow = (rest: Partial<Parameters<typeof followPods>[0]> = {}) => {
    stop = followPods({ ...ownership(), wake: (key) => woken.push(key), ...rest });
  };
  const taken = () => woken.splice(0);

  test("wakes the owners of pods that are there, come, change and go", () => {
    const mine = createSet("mine", app("x"));
    createPod("there", { owner: mine });
    follow();
    expect(taken()).toEqual(["default/mine"]);
    createPod("new", { owner: mine });
    expect(taken()).toEqual(["default/mine"]);
    store.update("pods", { namespace: NAMESPACE, name: "new" }, (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, labels: { app: "x" } },
    }));
    expect(new Set(taken())).toEqual(new Set(["default/mine"]));
    store.delete("pods", { namespace: NAMESPACE, name: "new" }, { gracePeriodSeconds: 0 });
    expect(new Set(taken())).toEqual(new Set(["default/mine"]));
  });

  test("wakes who has lost a pod, and who may want it then", () => {
    const mine = createSet("mine", app("x"));
    createSet("other", app("y"));
    createPod("p", { owner: mine, labels: { app: "x" } });
    follow();
    taken();
    store.update("pods", { namespace: NAMESPACE, name: "p" }, (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, labels: { app: "y" }, ownerReferences: [] },
    }));
    expect(taken()).toEqual(["default/mine", "default/other"]);
    store.update("pods", { namespace: NAMESPACE, name: "p" }, (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, labels: { app: "z" } },
    }));
    expect(taken()).toEqual([]);
  });

  test("tells of every change and whom it wakes, until it is stopped", () => {
    createSet("mine", app("x"));
    const seen: string[] = [];
    follow({
      observe: ({ type, object }, owners) =>
        seen.push(`${type} ${object.metadata.name} ${names(owners).join()}`),
    });
    createPod("p", { labels: { app: "x" } });
    createPod("q");
    store.delete("pods", { namespace: NAMESPACE, name: "q" }, { gracePeriodSeconds: 0 });
    stop?.();
    createPod("r");
    expect(seen).toEqual(["ADDED p mine", "ADDED q ", "DELETED q "]);
  });
});
