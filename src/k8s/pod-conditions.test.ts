import { describe, expect, test } from "bun:test";
import type { ContainerStatus, PodCondition, PodSpec } from "../../generated/kubernetes.ts";
import { podConditions, type ConditionFacts } from "./pod-conditions.ts";

const NOW = "2026-01-01T00:01:00Z";
const BEFORE = "2026-01-01T00:00:00Z";

const spec: PodSpec = {
  initContainers: [{ name: "init" }, { name: "proxy", restartPolicy: "Always" }],
  containers: [{ name: "a" }, { name: "b" }],
};

function status(name: string, part: Partial<ContainerStatus> = {}): ContainerStatus {
  return { name, image: "", imageID: "", ready: false, restartCount: 0, started: false, ...part };
}

function conditions(facts: Partial<ConditionFacts>): PodCondition[] {
  return podConditions({
    spec,
    phase: "Pending",
    initStatuses: [status("init"), status("proxy")],
    statuses: [status("a"), status("b")],
    current: [],
    hasSandbox: true,
    generation: 3,
    now: NOW,
    ...facts,
  });
}

/** `Type=Status reason: message`. */
function lines(list: readonly PodCondition[]): string[] {
  return list.map(
    ({ type, status: value, reason = "", message = "" }) => `${type}=${value} ${reason}: ${message}`,
  );
}

describe("podConditions()", () => {
  test("names what is not ready, as the kubelet does [C3, C4]", () => {
    expect(lines(conditions({ hasSandbox: false }))).toEqual([
      "PodReadyToStartContainers=False : ",
      "Initialized=False ContainersNotInitialized: containers with incomplete status: [init proxy]",
      "Ready=False ContainersNotReady: containers with unready status: [proxy a b]",
      "ContainersReady=False ContainersNotReady: containers with unready status: [proxy a b]",
      "PodScheduled=True : ",
    ]);
  });

  test("names containers without a status apart", () => {
    expect(
      lines(conditions({ initStatuses: [], statuses: [status("a", { ready: true })] })).slice(1, 3),
    ).toEqual([
      "Initialized=False ContainersNotInitialized: containers with unknown status: [init proxy]",
      "Ready=False ContainersNotReady: containers with unknown status: [proxy b]",
    ]);
  });

  test("is not ready when the pod is over, and says how it ended; readiness gates do not matter then [C4, C5]", () => {
    const statuses = [status("a", { ready: true }), status("b", { ready: true })];
    const over = (phase: "Succeeded" | "Failed") => {
      const gated = { ...spec, readinessGates: [{ conditionType: "example.com/gate" }] };
      return lines(conditions({ spec: gated, phase, statuses })).slice(2, 4);
    };
    expect(over("Succeeded")).toEqual(["Ready=False PodCompleted: ", "ContainersReady=False PodCompleted: "]);
    expect(over("Failed")).toEqual(["Ready=False PodFailed: ", "ContainersReady=False PodFailed: "]);
  });

  test("stays Initialized once a main container has ever started [C3]", () => {
    const facts = { statuses: [status("a", { lastState: { terminated: { exitCode: 1 } } }), status("b")] };
    expect(lines(conditions(facts))[1]).toBe("Initialized=True : ");
  });

  test("is not ready before its readiness gates are [C5]", () => {
    const ready = {
      spec: {
        ...spec,
        readinessGates: [{ conditionType: "example.com/a" }, { conditionType: "example.com/b" }],
      },
      phase: "Running" as const,
      initStatuses: [status("init", { ready: true }), status("proxy", { ready: true, started: true })],
      statuses: [status("a", { ready: true, started: true }), status("b", { ready: true, started: true })],
    };
    const gate: PodCondition = { type: "example.com/a", status: "False" };
    expect(lines(conditions({ ...ready, current: [gate] }))).toEqual([
      "example.com/a=False : ",
      "PodReadyToStartContainers=True : ",
      "Initialized=True : ",
      'Ready=False ReadinessGatesNotReady: the status of pod readiness gate "example.com/a" is not "True", but False, corresponding condition of pod readiness gate "example.com/b" does not exist.',
      "ContainersReady=True : ",
      "PodScheduled=True : ",
    ]);
  });

  test("moves lastTransitionTime only with the status, and always tells the generation [C10]", () => {
    const current = [
      { type: "Ready", status: "False", lastTransitionTime: BEFORE },
      { type: "PodReadyToStartContainers", status: "False", lastTransitionTime: BEFORE },
    ];
    const found = conditions({ current }).map(({ type, lastTransitionTime, observedGeneration }) => [
      type,
      lastTransitionTime,
      observedGeneration,
    ]);
    expect(found).toEqual([
      ["PodReadyToStartContainers", NOW, 3],
      ["Initialized", NOW, 3],
      ["Ready", BEFORE, 3],
      ["ContainersReady", NOW, 3],
      ["PodScheduled", NOW, 3],
    ]);
  });

  test("keeps conditions of others as they are, before its own [C6]", () => {
    const foreign = {
      type: "DisruptionTarget",
      status: "True",
      reason: "Evicted",
      lastTransitionTime: BEFORE,
    };
    expect(conditions({ current: [foreign] })[0]).toBe(foreign);
  });
});
