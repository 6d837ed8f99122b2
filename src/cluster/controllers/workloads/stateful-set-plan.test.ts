import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { StatefulSetSpec } from "../../../../generated/kubernetes.ts";
import { REVISION_LABEL } from "./controller-revisions.ts";
import type { MemberPod, StatefulSetObject } from "./stateful-set-identity.ts";
import { planStatefulSet, type StatefulPlan } from "./stateful-set-plan.ts";
import { statefulSetStatus } from "./stateful-set-status.ts";

const NOW = Date.UTC(2026, 0, 1);

function setOf(spec: Partial<StatefulSetSpec>): StatefulSetObject {
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: "web", namespace: "default", uid: "set" },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c" }] } },
      podManagementPolicy: "OrderedReady",
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
      ...spec,
    },
  };
}

type State = "pending" | "ready" | "leaving" | "failed" | "succeeded";

function podOf(ordinal: number, state: State, revision = "new", readyAt = NOW - 60_000): MemberPod {
  const isUp = state === "ready" || state === "leaving";
  const phase =
    { failed: "Failed", succeeded: "Succeeded" }[state as string] ?? (isUp ? "Running" : "Pending");
  const metadata = { name: `web-${ordinal}`, namespace: "default", uid: `${ordinal}` };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...metadata,
      labels: { [REVISION_LABEL]: revision },
      ...(state === "leaving" ? { deletionTimestamp: new Date(NOW).toISOString() } : {}),
    },
    spec: { containers: [] },
    status: {
      phase,
      conditions: isUp
        ? [{ type: "Ready", status: "True", lastTransitionTime: new Date(readyAt).toISOString() }]
        : [],
    },
  };
}

const planOf = (
  spec: Partial<StatefulSetSpec>,
  pods: MemberPod[],
  isClaimStale: (ordinal: number) => boolean = () => false,
) => planStatefulSet({ set: setOf(spec), pods, current: "old", update: "new", now: NOW, isClaimStale });

function summary({ create, remove }: StatefulPlan): string {
  return [
    ...create.map(({ ordinal, revision }) => `+${ordinal}${revision === "new" ? "" : ` ${revision}`}`),
    ...remove.map(({ metadata }) => `-${metadata.name?.slice(4)}`),
  ].join(" ");
}

const parallel = { podManagementPolicy: "Parallel" };
const rolling = (rollingUpdate: { partition?: number; maxUnavailable?: number | string }) => ({
  updateStrategy: { type: "RollingUpdate", rollingUpdate },
});

test.each<[string, Partial<StatefulSetSpec>, MemberPod[], string]>([
  ["starts with the first", {}, [], "+0"],
  ["waits for one that is not ready", {}, [podOf(0, "pending")], ""],
  ["goes on after one that is ready", {}, [podOf(0, "ready")], "+1"],
  ["waits for minReadySeconds", { minReadySeconds: 90 }, [podOf(0, "ready")], ""],
  ["does not count seconds that are over", { minReadySeconds: 60 }, [podOf(0, "ready")], "+1"],
  ["counts from ordinals.start", { ordinals: { start: 5 } }, [podOf(5, "ready")], "+6"],
  ["fills a gap before it goes on", {}, [podOf(0, "ready"), podOf(2, "ready")], "+1"],
  ["waits for one that leaves", {}, [podOf(0, "ready"), podOf(1, "leaving")], ""],
  ["removes one that failed", {}, [podOf(0, "ready"), podOf(1, "failed")], "-1"],
  ["removes one that ended", {}, [podOf(0, "succeeded")], "-0"],
  ["makes all at once in parallel", parallel, [], "+0 +1 +2"],
  ["removes and makes in parallel", parallel, [podOf(1, "failed")], "+0 +2 -1"],
  ["removes the highest", { replicas: 1 }, [podOf(0, "ready"), podOf(1, "ready"), podOf(2, "ready")], "-2"],
  [
    "removes the next when the highest is gone",
    { replicas: 1 },
    [podOf(0, "ready"), podOf(1, "ready"), podOf(2, "leaving")],
    "",
  ],
  ["does not remove next to trouble", { replicas: 1 }, [podOf(0, "pending"), podOf(1, "ready")], ""],
  ["removes the one in trouble", { replicas: 1 }, [podOf(0, "ready"), podOf(1, "pending")], "-1"],
  [
    "removes all at once in parallel",
    { ...parallel, replicas: 0 },
    [podOf(0, "ready"), podOf(1, "pending"), podOf(2, "leaving")],
    "-1 -0",
  ],
  [
    "removes what is below ordinals.start",
    { ordinals: { start: 1 }, replicas: 1 },
    [podOf(0, "ready"), podOf(1, "ready")],
    "-0",
  ],
])("an ordered or parallel set %s", (_what, spec, pods, expected) => {
  expect(summary(planOf(spec, pods))).toBe(expected);
});

test.each<[string, Partial<StatefulSetSpec>, MemberPod[], string]>([
  ["replaces the highest first", {}, [0, 1, 2].map((n) => podOf(n, "ready", "old")), "-2"],
  [
    "waits until it is back",
    {},
    [podOf(0, "ready", "old"), podOf(1, "ready", "old"), podOf(2, "pending", "new")],
    "",
  ],
  [
    "then replaces the next",
    {},
    [podOf(0, "ready", "old"), podOf(1, "ready", "old"), podOf(2, "ready", "new")],
    "-1",
  ],
  ["stops at the partition", rolling({ partition: 2 }), [0, 1].map((n) => podOf(n, "ready", "old")), "+2"],
  ["makes what is below it as it was", rolling({ partition: 2 }), [podOf(0, "ready", "old")], "+1 old"],
  [
    "leaves what is below it",
    rolling({ partition: 2 }),
    [podOf(0, "ready", "old"), podOf(1, "ready", "old"), podOf(2, "ready")],
    "",
  ],
  [
    "replaces as many as may be unavailable",
    rolling({ maxUnavailable: 2 }),
    [0, 1, 2].map((n) => podOf(n, "ready", "old")),
    "-2 -1",
  ],
  [
    "rounds the share of the unavailable down, but not to none",
    rolling({ maxUnavailable: "10%" }),
    [0, 1, 2].map((n) => podOf(n, "ready", "old")),
    "-2",
  ],
  [
    "counts those that are unavailable already",
    { ...parallel, ...rolling({ maxUnavailable: 2 }) },
    [podOf(0, "ready", "old"), podOf(1, "ready", "old"), podOf(2, "pending")],
    "-1",
  ],
  [
    "replaces what is broken, whatever may be unavailable",
    { ...parallel, ...rolling({ maxUnavailable: 1 }) },
    [podOf(0, "pending", "old"), podOf(1, "ready", "old"), podOf(2, "ready", "old")],
    "-0",
  ],
  [
    "does nothing by itself on delete",
    { updateStrategy: { type: "OnDelete" } },
    [0, 1, 2].map((n) => podOf(n, "ready", "old")),
    "",
  ],
  [
    "makes a deleted one anew on delete",
    { updateStrategy: { type: "OnDelete" } },
    [0, 1].map((n) => podOf(n, "ready", "old")),
    "+2",
  ],
])("a change of the template %s", (_what, spec, pods, expected) => {
  expect(summary(planOf(spec, pods))).toBe(expected);
});

test("a set that is being deleted does nothing, and one whose claims are stale waits for them", () => {
  const set = setOf({});
  const leaving = { ...set, metadata: { ...set.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  const state = { pods: [], current: "new", update: "new", now: NOW, isClaimStale: () => false };
  expect(summary(planStatefulSet({ ...state, set: leaving }))).toBe("");
  expect(summary(planOf({}, [], () => true))).toBe("");
  expect(summary(planOf(parallel, [], (ordinal) => ordinal === 1))).toBe("+0 +2");
});

test("pods that are not named after the set are not looked at", () => {
  const other = podOf(0, "ready");
  for (const name of ["web-00", "web-x", "webs-0", "web", "web-", "web-1-0"]) {
    expect(summary(planOf({}, [{ ...other, metadata: { ...other.metadata, name } }]))).toBe("+0");
  }
});

/** What happens to pods between two looks at the set; the number picks the pod. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant("sync" as const), n: fc.constant(0) }) },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constantFrom("progress" as const, "fail" as const), n: fc.nat(9) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constantFrom("scale" as const, "change" as const), n: fc.nat(6) }),
  },
);

const shape = fc.record({
  start: fc.nat(2),
  partition: fc.nat(3),
  maxUnavailable: fc.option(fc.constantFrom<number | string>(1, 2, "50%"), { nil: undefined }),
  isParallel: fc.boolean(),
});

/** A set and its pods, with a kubelet that does what it is told. */
class Model {
  readonly pods = new Map<number, MemberPod>();
  readonly #shape: typeof shape extends fc.Arbitrary<infer S> ? S : never;
  #replicas = 3;
  #change = 0;
  #current = "r0";

  constructor(of: typeof shape extends fc.Arbitrary<infer S> ? S : never) {
    this.#shape = of;
  }

  get set(): StatefulSetObject {
    const { start, partition, maxUnavailable, isParallel } = this.#shape;
    return setOf({
      replicas: this.#replicas,
      ordinals: { start },
      podManagementPolicy: isParallel ? "Parallel" : "OrderedReady",
      ...rolling({ partition, ...(maxUnavailable === undefined ? {} : { maxUnavailable }) }),
    });
  }

  get state() {
    const revisions = { current: this.#current, update: `r${this.#change}` };
    return { set: this.set, pods: [...this.pods.values()], ...revisions, now: NOW };
  }

  sync(): StatefulPlan {
    const plan = planStatefulSet({ ...this.state, isClaimStale: () => false });
    if (!this.#shape.isParallel) this.#checkOrder(plan);
    for (const { ordinal, revision } of plan.create) {
      expect(this.pods.has(ordinal)).toBe(false);
      this.pods.set(ordinal, podOf(ordinal, "pending", revision));
    }
    for (const { metadata } of plan.remove) {
      expect(metadata.deletionTimestamp).toBeUndefined();
      this.#put(Number(metadata.name?.slice(4)), "leaving");
    }
    const { currentRevision = "" } = statefulSetStatus({ ...this.state, collisionCount: 0 });
    this.#current = currentRevision;
    return plan;
  }

  #checkOrder({ create, remove }: StatefulPlan): void {
    const { start } = this.#shape;
    expect(create.length).toBeLessThanOrEqual(1);
    const isReady = (ordinal: number) => this.#stateOf(ordinal) === "ready";
    for (const { ordinal } of create)
      for (let before = start; before < ordinal; before++) expect(isReady(before)).toBe(true);
    for (const { metadata } of remove) {
      const ordinal = Number(metadata.name?.slice(4));
      const isScaleDown = ordinal >= start + this.#replicas;
      if (!isScaleDown) continue;
      expect(remove).toHaveLength(1);
      expect(Math.max(...this.pods.keys())).toBe(ordinal);
    }
  }

  #stateOf(ordinal: number): State | undefined {
    const pod = this.pods.get(ordinal);
    if (pod === undefined) return undefined;
    if (pod.metadata.deletionTimestamp !== undefined) return "leaving";
    return pod.status?.phase === "Failed" ? "failed" : pod.status?.phase === "Running" ? "ready" : "pending";
  }

  #put(ordinal: number, state: State): void {
    const revision = this.pods.get(ordinal)?.metadata.labels?.[REVISION_LABEL];
    this.pods.set(ordinal, podOf(ordinal, state, revision));
  }

  /** One pod becomes ready, fails or is gone. */
  happen(what: "progress" | "fail", n: number): void {
    const ordinal = [...this.pods.keys()][n % Math.max(1, this.pods.size)];
    if (ordinal === undefined) return;
    const state = this.#stateOf(ordinal);
    if (state === "leaving") this.pods.delete(ordinal);
    else if (what === "fail") this.#put(ordinal, "failed");
    else if (state === "pending") this.#put(ordinal, "ready");
  }

  order(what: "scale" | "change", n: number): void {
    if (what === "scale") this.#replicas = n;
    else this.#change += 1;
  }

  /** Everything goes well from now on. */
  settle(): void {
    for (let round = 0; round < 200; round++) {
      const { create, remove } = this.sync();
      const before = JSON.stringify([...this.pods]);
      for (const index of [...this.pods.keys()].keys()) this.happen("progress", index);
      if (create.length + remove.length === 0 && before === JSON.stringify([...this.pods])) return;
    }
    throw new Error("never settles");
  }
}

describe("whatever happens", () => {
  test("ordinal n+1 is never made before n is ready, n never removed before n+1 is gone; every rollout ends", () => {
    fc.assert(
      fc.property(shape, fc.array(step, { maxLength: 60 }), (of, steps) => {
        const model = new Model(of);
        for (const { what, n } of steps) {
          if (what === "sync") model.sync();
          else if (what === "scale" || what === "change") model.order(what, n);
          else model.happen(what, n);
        }
        model.settle();
        const { set, pods, update } = model.state;
        const { replicas = 0 } = set.spec;
        const expected = Array.from({ length: replicas }, (_, index) => of.start + index);
        expect([...model.pods.keys()].toSorted((a, b) => a - b)).toEqual(expected);
        const isNew = ({ metadata }: MemberPod) => metadata.labels?.[REVISION_LABEL] === update;
        const outdated = pods.filter((pod) => !isNew(pod));
        expect(outdated.length).toBeLessThanOrEqual(of.partition);
        expect(statefulSetStatus({ ...model.state, collisionCount: 0 }).readyReplicas ?? 0).toBe(replicas);
      }),
      { numRuns: 300 },
    );
  });
});
