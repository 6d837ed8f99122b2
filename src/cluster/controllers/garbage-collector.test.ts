import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { resources } from "../../k8s/catalogue.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { at, configMap, openTestStore, pod } from "../../testing/store-fixtures.ts";
import type { DeleteOptions, Store } from "../store/store.ts";
import { startGarbageCollector } from "./garbage-collector.ts";

const STORED = resources.filter(({ stored }) => stored);

let store: Store;
let stop: () => void;
beforeEach(() => {
  store = openTestStore();
  stop = startGarbageCollector({ store, clock: new ManualClock(), resources: STORED });
});
afterEach(() => {
  stop();
  store.close();
});

/** The collector works after the code that wrote has returned. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

function ownedBy(
  owner: KubeObject,
  blockOwnerDeletion?: boolean,
): NonNullable<KubeObject["metadata"]["ownerReferences"]> {
  const { name = "", uid = "" } = owner.metadata;
  const block = blockOwnerDeletion === undefined ? {} : { blockOwnerDeletion };
  return [{ apiVersion: owner.apiVersion, kind: owner.kind, name, uid, ...block }];
}

function createOwned(name: string, owners: readonly KubeObject[], block?: boolean): KubeObject {
  const ownerReferences = owners.flatMap((owner) => ownedBy(owner, block));
  return store.create("configmaps", configMap(name, { metadata: { ownerReferences } }));
}

function createOwner(name: string): KubeObject {
  return store.create("configmaps", configMap(name));
}

function remove(name: string, propagationPolicy?: DeleteOptions["propagationPolicy"]): void {
  store.delete("configmaps", at(name), propagationPolicy === undefined ? {} : { propagationPolicy });
}

function names(): string[] {
  return store.list("configmaps").items.map(({ metadata }) => metadata.name ?? "");
}

describe("background deletion", () => {
  test("takes a whole tree along, after the owner", async () => {
    const root = createOwner("root");
    const child = createOwned("child", [root]);
    createOwned("grandchild", [child]);
    createOwner("stranger");
    remove("root", "Background");
    expect(names()).toEqual(["child", "grandchild", "stranger"]);
    await settled();
    expect(names()).toEqual(["stranger"]);
  });

  test("keeps what has another owner and takes the dead reference off", async () => {
    const one = createOwner("one");
    const two = createOwner("two");
    createOwned("child", [one, two]);
    remove("one");
    await settled();
    expect(store.get("configmaps", at("child"))?.metadata.ownerReferences).toEqual(ownedBy(two));
    remove("two");
    await settled();
    expect(names()).toEqual([]);
  });

  test("goes for what names an owner that never was", async () => {
    createOwned("child", [configMap("nobody", { metadata: { uid: "none" } })]);
    expect(names()).toEqual(["child"]);
    await settled();
    expect(names()).toEqual([]);
  });

  test("goes for what names a namesake of its owner", async () => {
    const first = createOwner("owner");
    remove("owner");
    const second = createOwner("owner");
    createOwned("orphan", [first]);
    createOwned("child", [second]);
    await settled();
    expect(names()).toEqual(["child", "owner"]);
  });

  test("looks for a namespaced owner in the namespace of the dependent only", async () => {
    const owner = createOwner("owner");
    const metadata = { namespace: "other", ownerReferences: ownedBy(owner) };
    store.create("configmaps", configMap("child", { metadata }));
    await settled();
    expect(names()).toEqual(["owner"]);
  });

  test("finds cluster-scoped owners from any namespace", async () => {
    const node = store.create("nodes", { apiVersion: "v1", kind: "Node", metadata: { name: "n" } });
    createOwned("child", [node]);
    await settled();
    expect(names()).toEqual(["child"]);
    store.delete("nodes", at("n", ""));
    await settled();
    expect(names()).toEqual([]);
  });

  test("leaves alone what it cannot judge: unknown kinds, and namespaced owners of cluster-scoped objects", async () => {
    createOwned("child", [
      { apiVersion: "example.com/v1", kind: "Tulip", metadata: { name: "t", uid: "u" } },
    ]);
    const ownerReferences = ownedBy(configMap("nobody", { metadata: { uid: "none" } }));
    store.create("nodes", { apiVersion: "v1", kind: "Node", metadata: { name: "n", ownerReferences } });
    await settled();
    expect([names(), store.list("nodes").items.length]).toEqual([["child"], 1]);
  });

  test("gives pods their grace period", async () => {
    const owner = createOwner("owner");
    const spec = { nodeName: "node", terminationGracePeriodSeconds: 30 };
    store.create("pods", pod("p", { metadata: { ownerReferences: ownedBy(owner) }, spec }));
    remove("owner");
    await settled();
    expect(store.get("pods", at("p"))?.metadata.deletionGracePeriodSeconds).toBe(30);
  });

  test("begins with what was left behind before it started", async () => {
    stop();
    const owner = createOwner("owner");
    createOwned("child", [owner]);
    remove("owner");
    await settled();
    expect(names()).toEqual(["child"]);
    stop = startGarbageCollector({ store, clock: new ManualClock(), resources: STORED });
    await settled();
    expect(names()).toEqual([]);
  });

  test("stops at once when it is stopped", async () => {
    const owner = createOwner("owner");
    createOwned("child", [owner]);
    remove("owner");
    stop();
    await settled();
    expect(names()).toEqual(["child"]);
  });
});

describe("foreground deletion", () => {
  test("removes blocking dependents before their owner, the others after it", async () => {
    const gone: string[] = [];
    store.watch("configmaps", {}, ({ type, object }) => {
      if (type === "DELETED") gone.push(object.metadata.name ?? "");
    });
    const owner = createOwner("owner");
    createOwned("a-blocking", [owner], true);
    store.create(
      "configmaps",
      configMap("b-waiting", { metadata: { ownerReferences: ownedBy(owner, true), finalizers: ["x/y"] } }),
    );
    remove("owner", "Foreground");
    await settled();
    expect([names(), gone]).toEqual([["b-waiting", "owner"], ["a-blocking"]]);
    store.update("configmaps", at("b-waiting"), (current) => ({
      ...current,
      metadata: { ...current.metadata, finalizers: [] },
    }));
    await settled();
    expect(gone).toEqual(["a-blocking", "b-waiting", "owner"]);
  });

  test("does not wait for dependents that do not block", async () => {
    const owner = createOwner("owner");
    const metadata = { ownerReferences: ownedBy(owner), finalizers: ["x/y"] };
    store.create("configmaps", configMap("held", { metadata }));
    remove("owner", "Foreground");
    await settled();
    expect(names()).toEqual(["held"]);
    expect(store.get("configmaps", at("held"))?.metadata.deletionTimestamp).toBeDefined();
  });

  test("goes down the whole tree, leaves first", async () => {
    const gone: string[] = [];
    store.watch("configmaps", {}, ({ type, object }) => {
      if (type === "DELETED") gone.push(object.metadata.name ?? "");
    });
    const root = createOwner("root");
    const child = createOwned("child", [root], true);
    createOwned("leaf", [child], true);
    remove("root", "Foreground");
    await settled();
    expect(gone).toEqual(["leaf", "child", "root"]);
  });

  test("lets a dependent with another owner live", async () => {
    const one = createOwner("one");
    const two = createOwner("two");
    createOwned("child", [one, two], true);
    remove("one", "Foreground");
    await settled();
    expect([names(), store.get("configmaps", at("child"))?.metadata.ownerReferences]).toEqual([
      ["child", "two"],
      ownedBy(two, true),
    ]);
  });

  test("is over when the last blocking reference is taken off", async () => {
    const owner = createOwner("owner");
    const metadata = { ownerReferences: ownedBy(owner, true), finalizers: ["x/y"] };
    store.create("configmaps", configMap("held", { metadata }));
    remove("owner", "Foreground");
    await settled();
    expect(names()).toEqual(["held", "owner"]);
    store.update("configmaps", at("held"), (current) => ({
      ...current,
      metadata: { ...current.metadata, ownerReferences: [] },
    }));
    await settled();
    expect(names()).toEqual(["held"]);
  });

  test("ends a circle of owners", async () => {
    const one = createOwner("one");
    const two = createOwned("two", [one], true);
    store.update("configmaps", at("one"), (current) => ({
      ...current,
      metadata: { ...current.metadata, ownerReferences: ownedBy(two, true) },
    }));
    remove("one", "Foreground");
    await settled();
    expect(names()).toEqual([]);
  });
});

describe("orphaning", () => {
  test("takes the references off and lets the owner go", async () => {
    const owner = createOwner("owner");
    createOwned("child", [owner], true);
    remove("owner", "Orphan");
    await settled();
    expect([names(), store.get("configmaps", at("child"))?.metadata]).toEqual([
      ["child"],
      expect.not.objectContaining({ ownerReferences: expect.anything() }),
    ]);
  });
});

test("whatever is deleted how, in the end only what is owned by the living, or by nobody, is left", async () => {
  const step = fc.record({
    parents: fc.array(fc.nat({ max: 5 }), { maxLength: 2 }),
    policy: fc.constantFrom("Background", "Foreground", "Orphan", undefined),
    block: fc.boolean(),
    victim: fc.nat({ max: 11 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12, size: "max" }), async (steps) => {
      const store = openTestStore();
      const stop = startGarbageCollector({ store, clock: new ManualClock(), resources: STORED });
      const created: KubeObject[] = [];
      for (const [index, { parents, block }] of steps.entries()) {
        const owners = [...new Set(parents)].flatMap((parent) => created[parent] ?? []);
        const ownerReferences = owners.flatMap((owner) => ownedBy(owner, block));
        created.push(store.create("configmaps", configMap(`c${index}`, { metadata: { ownerReferences } })));
      }
      for (const { victim, policy } of steps.slice(0, 4)) {
        const name = `c${victim % steps.length}`;
        if (store.get("configmaps", at(name)) === undefined) continue;
        store.delete("configmaps", at(name), policy === undefined ? {} : { propagationPolicy: policy });
        if (victim % 2 === 0) await settled();
      }
      await new Promise((resolve) => setImmediate(resolve));
      const left = store.list("configmaps").items;
      const living = new Set(left.map(({ metadata }) => metadata.uid));
      for (const { metadata } of left) {
        expect(metadata.deletionTimestamp).toBeUndefined();
        for (const { uid } of metadata.ownerReferences ?? []) expect(living.has(uid)).toBe(true);
      }
      stop();
      store.close();
    }),
    { numRuns: 100 },
  );
});
