import { describe, expect, test } from "bun:test";
import type { Event, Pod, PodSpec } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { openTestStore } from "../../testing/store-fixtures.ts";
import { announceScheduled, followWaiting } from "./scheduling.ts";

const PREEMPTION = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";

function openWorld() {
  const clock = new ManualClock();
  const store = openTestStore({ clock });
  store.create("nodes", { apiVersion: "v1", kind: "Node", metadata: { name: "node-1" } });
  const context = { store, clock, nodeName: "node-1" };
  const unfollow = followWaiting(context);
  const create = (name: string, spec: Partial<PodSpec>) => {
    const given: KubeObject = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace: "default", name },
      spec: { containers: [{ name: "c" }], ...spec },
    };
    announceScheduled(context, given, store.create("pods", given));
  };
  const claim = (name: string, status: object, more: object = {}) =>
    store.create("persistentvolumeclaims", {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { namespace: "default", name },
      spec: more,
      status,
    });
  const nodeOf = (name: string) => {
    const pod: Pod | undefined = store.get("pods", { namespace: "default", name });
    return pod?.spec?.nodeName;
  };
  const events = () =>
    store
      .list("events")
      .items.map((object) => object as KubeObject & Event)
      .map(({ reason, message }) => `${reason}: ${message}`);
  return {
    store,
    create,
    claim,
    nodeOf,
    events,
    close() {
      unfollow();
      store.close();
    },
  };
}

const using = (claimName: string): Partial<PodSpec> => ({
  volumes: [{ name: "v", persistentVolumeClaim: { claimName } }],
});
const bindIt = (current: KubeObject): KubeObject => ({
  ...current,
  spec: { volumeName: "pv" },
  status: { phase: "Bound" },
});

describe("a Pod with a claim", () => {
  test("that is not there waits, says why, and goes when it is bound [V25]", () => {
    const w = openWorld();
    w.create("p", using("data"));
    expect(w.nodeOf("p")).toBeUndefined();
    expect(w.events()).toEqual([
      `FailedScheduling: 0/1 nodes are available: persistentvolumeclaim "data" not found. ${PREEMPTION}`,
    ]);
    w.claim("data", { phase: "Pending" });
    expect(w.events().at(-1)).toBe(
      `FailedScheduling: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. ${PREEMPTION}`,
    );
    w.store.update("persistentvolumeclaims", { namespace: "default", name: "data" }, bindIt);
    w.store.update("persistentvolumeclaims", { namespace: "default", name: "data" }, bindIt, {
      subresource: "status",
    });
    expect(w.nodeOf("p")).toBe("node-1");
    expect(w.events().at(-1)).toBe("Scheduled: Successfully assigned default/p to node-1");
    w.close();
  });

  test.each<[string, object, object, string]>([
    [
      "lost",
      { phase: "Lost" },
      { volumeName: "pv" },
      'persistentvolumeclaim "data" bound to non-existent persistentvolume "pv"',
    ],
    ["not bound", { phase: "Pending" }, {}, "pod has unbound immediate PersistentVolumeClaims"],
  ])("that is %s waits", (_what, status, spec, why) => {
    const w = openWorld();
    w.claim("data", status, spec);
    w.create("p", using("data"));
    expect(w.events()).toEqual([`FailedScheduling: 0/1 nodes are available: ${why}. ${PREEMPTION}`]);
    w.close();
  });

  test("that waits for its first consumer waits in silence", () => {
    const w = openWorld();
    w.store.create("storageclasses.storage.k8s.io", {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "lazy" },
      volumeBindingMode: "WaitForFirstConsumer",
    });
    w.claim("data", { phase: "Pending" }, { storageClassName: "lazy" });
    w.create("p", using("data"));
    expect(w.events()).toEqual([]);
    expect(w.nodeOf("p")).toBeUndefined();
    w.close();
  });
});

test("a Pod whose host port is taken waits until the other one ends or goes [N8]", () => {
  const w = openWorld();
  const ports = { containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 8080 }] }] };
  for (const name of ["a", "b", "c"]) w.create(name, ports);
  expect(["a", "b", "c"].map(w.nodeOf)).toEqual(["node-1", undefined, undefined]);
  expect(w.events()[1]).toBe(
    "FailedScheduling: 0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
  );
  const at = (name: string) => ({ namespace: "default", name });
  w.store.update("pods", at("a"), (pod) => ({ ...pod, status: { phase: "Succeeded" } }), {
    subresource: "status",
  });
  expect(["b", "c"].map(w.nodeOf)).toEqual(["node-1", undefined]);
  w.store.delete("pods", at("b"), { gracePeriodSeconds: 0 });
  expect(w.nodeOf("c")).toBe("node-1");
  w.close();
});
