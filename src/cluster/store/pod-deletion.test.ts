/** Pods are deleted gracefully: rules O10 and O12 of the pod semantics (`podStrategy.CheckGracefulDelete`, `rest.BeforeDelete`). */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { KubeObject } from "../../k8s/object.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { at, openTestStore, pod, statusOf } from "../../testing/store-fixtures.ts";
import type { DeleteOptions, Store } from "./store.ts";

function createPod(store: Store, spec: object, status: object = { phase: "Running" }): KubeObject {
  return store.create("pods", pod("a", { spec, status }));
}

/** `gone`, or the grace period and the seconds from the test's beginning to deletionTimestamp. */
function outcome(store: Store, options: DeleteOptions, now: number): string {
  const { object, gone } = store.delete("pods", at("a"), options);
  const { deletionTimestamp = "", deletionGracePeriodSeconds } = object.metadata;
  return `${gone ? "gone" : "waits"} ${deletionGracePeriodSeconds}s until ${(Date.parse(deletionTimestamp) - now) / 1_000}`;
}

const SCHEDULED = { nodeName: "node", terminationGracePeriodSeconds: 30 };

describe("delete() of a pod", () => {
  test.each([
    ["takes the period of the spec", SCHEDULED, "Running", {}, "waits 30s until 30"],
    ["takes the period of the option", SCHEDULED, "Running", { gracePeriodSeconds: 5 }, "waits 5s until 5"],
    ["may lengthen the period", SCHEDULED, "Running", { gracePeriodSeconds: 90 }, "waits 90s until 90"],
    ["goes at once with 0", SCHEDULED, "Running", { gracePeriodSeconds: 0 }, "gone 0s until 0"],
    ["takes a negative option for 1", SCHEDULED, "Running", { gracePeriodSeconds: -7 }, "waits 1s until 1"],
    [
      "takes a negative spec for 1",
      { ...SCHEDULED, terminationGracePeriodSeconds: -1 },
      "Running",
      {},
      "waits 1s until 1",
    ],
    ["without any period goes at once", { nodeName: "node" }, "Running", {}, "gone 0s until 0"],
    [
      "goes at once when unscheduled",
      { terminationGracePeriodSeconds: 30 },
      "Pending",
      {},
      "gone 0s until 0",
    ],
    [
      "goes at once when unscheduled, whatever the option",
      { nodeName: "" },
      "Pending",
      { gracePeriodSeconds: 9 },
      "gone 0s until 0",
    ],
    ["goes at once when it succeeded", SCHEDULED, "Succeeded", {}, "gone 0s until 0"],
    ["goes at once when it failed", SCHEDULED, "Failed", { gracePeriodSeconds: 9 }, "gone 0s until 0"],
  ])("%s [O10]", (_claim, spec, phase, options, expected) => {
    const clock = new ManualClock();
    const store = openTestStore({ clock });
    createPod(store, spec, { phase });
    expect(outcome(store, options, clock.now())).toBe(expected);
    expect(store.get("pods", at("a")) === undefined).toBe(expected.startsWith("gone"));
  });

  test("counts a generation once, at the first DELETE", () => {
    const store = openTestStore();
    createPod(store, SCHEDULED);
    const generations = [{}, { gracePeriodSeconds: 3 }].map(
      (options) => store.delete("pods", at("a"), options).object.metadata.generation,
    );
    expect(generations).toEqual([2, 2]);
  });

  test("a second DELETE shortens the period from when it began, and never lengthens it [O12]", () => {
    const clock = new ManualClock();
    const begun = clock.now();
    const store = openTestStore({ clock });
    createPod(store, SCHEDULED);
    expect(outcome(store, {}, begun)).toBe("waits 30s until 30");
    clock.advance(4_000);
    const before = store.resourceVersion();
    for (const options of [{}, { gracePeriodSeconds: 30 }, { gracePeriodSeconds: 60 }]) {
      expect(outcome(store, options, begun)).toBe("waits 30s until 30");
    }
    expect(store.resourceVersion()).toBe(before);
    expect(outcome(store, { gracePeriodSeconds: 10 }, begun)).toBe("waits 10s until 10");
    expect(outcome(store, { gracePeriodSeconds: -1 }, begun)).toBe("waits 1s until 1");
    expect(outcome(store, { gracePeriodSeconds: 0 }, begun)).toBe("gone 0s until 0");
  });

  test("an update neither undoes nor ends a grace period", () => {
    const store = openTestStore();
    const { metadata } = createPod(store, SCHEDULED);
    store.delete("pods", at("a"));
    const updated = store.update("pods", at("a"), (current) => ({
      ...current,
      metadata: { ...metadata, resourceVersion: "", labels: { a: "b" } },
    }));
    expect(updated.metadata).toMatchObject({ labels: { a: "b" }, deletionGracePeriodSeconds: 30 });
  });

  test("waits for finalizers after the grace period has been taken to 0", () => {
    const store = openTestStore();
    store.create("pods", pod("a", { metadata: { finalizers: ["x/y"] }, spec: SCHEDULED }));
    expect(store.delete("pods", at("a")).gone).toBe(false);
    const strip = (current: KubeObject) => ({
      ...current,
      metadata: { ...current.metadata, finalizers: [] },
    });
    expect(store.delete("pods", at("a"), { gracePeriodSeconds: 0 })).toMatchObject({
      gone: false,
      object: { metadata: { deletionGracePeriodSeconds: 0, finalizers: ["x/y"] } },
    });
    store.update("pods", at("a"), strip);
    expect(store.get("pods", at("a"))).toBeUndefined();
  });

  test("checks the uid before anything else, so that the node's confirmation never hits a namesake [O11]", () => {
    const store = openTestStore();
    createPod(store, SCHEDULED);
    const options = { gracePeriodSeconds: 0, preconditions: { uid: "an earlier pod" } };
    expect(statusOf(() => store.delete("pods", at("a"), options)).reason).toBe("Conflict");
    expect(store.get("pods", at("a"))).toBeDefined();
  });

  test("whatever is asked, a running grace period only ever shrinks [O12]", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: -2, max: 40 }), { nil: undefined })), (asked) => {
        const store = openTestStore();
        createPod(store, SCHEDULED);
        let left = Number.POSITIVE_INFINITY;
        for (const gracePeriodSeconds of asked) {
          const options = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
          const { object, gone } = store.delete("pods", at("a"), options);
          const now = object.metadata.deletionGracePeriodSeconds ?? Number.NaN;
          expect(now).toBeLessThanOrEqual(left);
          expect(gone).toBe(now === 0);
          if (gone) return;
          left = now;
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("delete() with a propagation policy", () => {
  test.each([
    ["Foreground", [], ["foregroundDeletion"]],
    ["Orphan", [], ["orphan"]],
    ["Orphan", ["foregroundDeletion", "x/y"], ["x/y", "orphan"]],
    ["Background", ["orphan", "x/y"], ["x/y"]],
    [undefined, ["orphan"], ["orphan"]],
  ] as const)("%p over finalizers %p leaves %p", (propagationPolicy, before, after) => {
    const store = openTestStore();
    const metadata = { ...at("c"), finalizers: [...before] };
    store.create("configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata });
    const options = propagationPolicy === undefined ? {} : { propagationPolicy };
    expect(store.delete("configmaps", at("c"), options)).toMatchObject({
      gone: false,
      object: { metadata: { finalizers: [...after], deletionGracePeriodSeconds: 0 } },
    });
  });

  test("never makes an Event wait: nothing collects them", () => {
    const store = openTestStore();
    store.create("events", { apiVersion: "v1", kind: "Event", metadata: at("e") });
    expect(store.delete("events", at("e"), { propagationPolicy: "Foreground" }).gone).toBe(true);
  });
});

describe("delete() of a namespace", () => {
  test("turns it to Terminating and leaves the rest to the namespace controller", () => {
    const store = openTestStore();
    expect(store.delete("namespaces", at("other", ""))).toMatchObject({
      gone: false,
      object: {
        metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" },
        spec: { finalizers: ["kubernetes"] },
        status: { phase: "Terminating" },
      },
    });
    const before = store.resourceVersion();
    expect(store.delete("namespaces", at("other", "")).gone).toBe(false);
    expect(store.resourceVersion()).toBe(before);
    store.update("namespaces", at("other", ""), (current) => ({ ...current, spec: {} }), {
      subresource: "finalize",
    });
    expect(store.get("namespaces", at("other", ""))).toBeUndefined();
  });

  test("refuses the ones that the cluster cannot be without", () => {
    const store = openTestStore();
    expect(statusOf(() => store.delete("namespaces", at("default", "")))).toMatchObject({
      code: 403,
      message: 'namespaces "default" is forbidden: this namespace may not be deleted',
    });
  });
});
