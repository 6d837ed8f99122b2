import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { DaemonSetSpec } from "../../../../generated/kubernetes.ts";
import { REVISION_LABEL } from "./controller-revisions.ts";
import {
  type DaemonNode,
  type DaemonPlan,
  isAvailable,
  isUpdated,
  planDaemonSet,
} from "./daemon-set-plan.ts";
import type { DaemonPod, DaemonSetObject } from "./daemon-set-pod.ts";
import { daemonSetStatus } from "./daemon-set-status.ts";

const NOW = Date.UTC(2026, 0, 1);

type Update = NonNullable<DaemonSetSpec["updateStrategy"]>["rollingUpdate"];

function setOf(rollingUpdate: Update, type = "RollingUpdate"): DaemonSetObject {
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "agent", namespace: "default", uid: "set" },
    spec: {
      selector: { matchLabels: { app: "agent" } },
      template: { metadata: { labels: { app: "agent" } }, spec: { containers: [{ name: "c" }] } },
      updateStrategy: { type, ...(rollingUpdate === undefined ? {} : { rollingUpdate }) },
    },
  };
}

type State = "pending" | "ready" | "leaving" | "failed";

let made = 0;
function podOf(state: State, revision: string): DaemonPod {
  const isReady = state === "ready" || state === "leaving";
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${revision}-${(made += 1)}`,
      labels: { [REVISION_LABEL]: revision },
      ...(state === "leaving" ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    status: {
      phase: state === "failed" ? "Failed" : isReady ? "Running" : "Pending",
      conditions: isReady
        ? [{ type: "Ready", status: "True", lastTransitionTime: new Date(NOW - 1000).toISOString() }]
        : [],
    },
  };
}

/** `old ready, new pending`: the pods of one node, oldest first. */
function nodeOf(text: string, index: number, suits = { shouldRun: true, mayStay: true }): DaemonNode {
  const pods = text === "" ? [] : text.split(", ").map((one) => one.split(" "));
  return {
    ...suits,
    name: `n${index}`,
    pods: pods.map(([revision = "", state]) => podOf(state as State, revision)),
  };
}

function summary({ create, remove }: DaemonPlan, nodes: readonly DaemonNode[]): string {
  const place = (pod: DaemonPod) => {
    const node = nodes.find(({ pods }) => pods.includes(pod));
    return `-${node?.name}:${pod.metadata.labels?.[REVISION_LABEL]}`;
  };
  return [...create.map((name) => `+${name}`), ...remove.map(place)].join(" ");
}

function plan(texts: string[], rollingUpdate: Update, type?: string): string {
  const nodes = texts.map((text, index) => nodeOf(text, index));
  return summary(planDaemonSet({ set: setOf(rollingUpdate, type), nodes, hash: "new", now: NOW }), nodes);
}

const one = { maxUnavailable: 1, maxSurge: 0 };
const surge = { maxUnavailable: 0, maxSurge: 1 };

test.each<[string, string[], Update, string]>([
  ["makes a pod where there is none", ["", "new ready"], one, "+n0"],
  ["waits for one that leaves", ["new leaving"], one, ""],
  ["removes one that failed", ["new failed"], one, "-n0:new"],
  ["removes all but the oldest", ["new ready, new ready"], one, "-n0:new"],
  ["replaces an old one", ["old ready"], one, "-n0:old"],
  [
    "replaces as many as may be unavailable",
    ["old ready", "old ready", "old ready"],
    { ...one, maxUnavailable: "50%" },
    "-n0:old -n1:old",
  ],
  ["waits for one that is unavailable", ["new pending", "old ready"], one, ""],
  ["replaces an old one that is broken, whatever else is", ["new pending", "old pending"], one, "-n1:old"],
  ["treats no limits as one", ["old ready", "old ready"], { maxUnavailable: 0, maxSurge: 0 }, "-n0:old"],
  ["surges before it removes", ["old ready", "old ready"], surge, "+n0"],
  ["waits for what it surged", ["old ready, new pending", "old ready"], surge, ""],
  [
    "removes the old one when the new one is available",
    ["old ready, new ready", "old ready"],
    surge,
    "-n0:old",
  ],
  ["keeps only the new one when neither is ready", ["old pending, new pending"], surge, "-n0:old"],
  [
    "surges beside old ones that are broken, whatever the limit",
    ["old pending", "old pending"],
    surge,
    "+n0 +n1",
  ],
])("a daemon set %s", (_what, nodes, rollingUpdate, expected) => {
  expect(plan(nodes, rollingUpdate)).toBe(expected);
});

test("on delete only what is deleted is made anew", () => {
  expect(plan(["old ready"], undefined, "OnDelete")).toBe("");
  expect(plan(["old ready", ""], undefined, "OnDelete")).toBe("+n1");
});

test("a node that is not meant for it loses its pods, unless they may stay", () => {
  const on = (text: string, mayStay: boolean) => {
    const nodes = [nodeOf(text, 0, { shouldRun: false, mayStay })];
    return summary(planDaemonSet({ set: setOf(one), nodes, hash: "new", now: NOW }), nodes);
  };
  expect([on("", true), on("new ready", true), on("new ready", false)]).toEqual(["", "", "-n0:new"]);
});

test("a set that is being deleted does nothing", () => {
  const set = setOf(one);
  const leaving = { ...set, metadata: { ...set.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  expect(planDaemonSet({ set: leaving, nodes: [nodeOf("", 0)], hash: "new", now: NOW }).create).toEqual([]);
});

describe("whatever the pods were", () => {
  const start = fc.array(
    fc.constantFrom(
      "",
      "old ready",
      "old pending",
      "old failed",
      "old leaving",
      "new ready",
      "new pending",
      "old ready, new pending",
    ),
    { minLength: 1, maxLength: 5 },
  );
  const limits = fc.constantFrom<Update>(one, { maxUnavailable: 2 }, { maxUnavailable: "30%" }, surge, {
    maxUnavailable: 0,
    maxSurge: "50%",
  });

  test("every rollout ends with one new pod on each node, and keeps to its limits on the way", () => {
    fc.assert(
      fc.property(start, limits, fc.infiniteStream(fc.boolean()), (texts, update, luck) => {
        let nodes = texts.map((text, index) => nodeOf(text, index));
        const state = () => ({ set: setOf(update), nodes, hash: "new", now: NOW });
        const available = () =>
          nodes.filter(({ pods }) =>
            pods.some((pod) => isAvailable(state(), pod) && pod.metadata.deletionTimestamp === undefined),
          ).length;
        for (let round = 0; round < 100; round++) {
          const { create, remove } = planDaemonSet(state());
          const before = available();
          nodes = nodes.map((node) => ({
            ...node,
            pods: [
              ...node.pods.map((pod) =>
                remove.includes(pod)
                  ? { ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } }
                  : pod,
              ),
              ...(create.includes(node.name) ? [podOf("pending", "new")] : []),
            ],
          }));
          if ((update?.maxSurge ?? 0) !== 0) expect(available()).toBe(before);
          // What the kubelet does, some of it later than the rest; in the end all of it.
          nodes = nodes.map((node) => {
            if (round < 30 && luck.next().value === true) return node;
            const staying = node.pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
            const pods = staying.map((pod) =>
              pod.status?.phase === "Pending" && isUpdated(state(), pod) ? podOf("ready", "new") : pod,
            );
            return { ...node, pods };
          });
        }
        const status = daemonSetStatus(state(), 0);
        expect(nodes.map(({ pods }) => pods.map((pod) => isUpdated(state(), pod)))).toEqual(
          texts.map(() => [true]),
        );
        expect(status.updatedNumberScheduled).toBe(texts.length);
        expect(status.numberAvailable).toBe(texts.length);
      }),
      { numRuns: 200 },
    );
  });
});
