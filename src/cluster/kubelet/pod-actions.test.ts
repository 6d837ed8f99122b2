import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { PodSpec } from "../../../generated/kubernetes.ts";
import { computePodActions, NO_PROBES, type ObservedContainer, type ObservedPod } from "./pod-actions.ts";

/** `run`, `exit N`, or `replacing`; a container that is not named has never been started. */
type Marks = Readonly<Record<string, string>>;

const SPEC: PodSpec = {
  restartPolicy: "Always",
  initContainers: [
    { name: "i1", image: "img" },
    { name: "s1", image: "img", restartPolicy: "Always" },
    { name: "i2", image: "img" },
    { name: "s2", image: "img", restartPolicy: "Always" },
  ],
  containers: [
    { name: "a", image: "img" },
    { name: "b", image: "img" },
  ],
};

function observed(name: string, mark: string): ObservedContainer {
  const instance = { name, id: name, restartCount: 0, image: "img", imageID: "", startedAt: 0 };
  const isBeingReplaced = mark === "replacing";
  const exit = /^exit (\d+)$/.exec(mark)?.[1];
  if (exit === undefined) return { instance, isBeingReplaced };
  const end = { exitCode: Number(exit), reason: "Error", finishedAt: 0 };
  return { instance: { ...instance, end }, isBeingReplaced };
}

function pod(marks: Marks, spec: Partial<PodSpec> = {}, more: Partial<ObservedPod> = {}): ObservedPod {
  return {
    spec: { ...SPEC, ...spec },
    containers: new Map(Object.entries(marks).map(([name, mark]) => [name, observed(name, mark)])),
    sandbox: "ready",
    sandboxAttempts: 1,
    probes: NO_PROBES,
    ...more,
  };
}

/** `start i1`, `kill a`, `new sandbox`, `end`. */
function actions(facts: ObservedPod): string {
  const { killPod, createSandbox, kill, startInit, start } = computePodActions(facts);
  const nameOf = (list: PodSpec["containers"] = [], index: number) => list[index]?.name ?? "?";
  return [
    killPod ? "end" : "",
    createSandbox ? "new sandbox" : "",
    ...kill.map(({ name }) => `kill ${name}`),
    ...startInit.map((index) => `start ${nameOf(facts.spec.initContainers, index)}`),
    ...start.map((index) => `start ${nameOf(facts.spec.containers, index)}`),
  ]
    .filter((word) => word !== "")
    .join(", ");
}

const DONE = { i1: "exit 0", i2: "exit 0" };
const UP = { ...DONE, s1: "run", s2: "run" };

describe("computePodActions()", () => {
  test.each<[string, Marks, string, Partial<PodSpec>?]>([
    ["the first init container [I1]", {}, "start i1"],
    ["nothing while it runs [I1]", { i1: "run" }, ""],
    ["the next after exit 0 [I1]", { i1: "exit 0" }, "start s1"],
    ["the same again after a failure [I7]", { i1: "exit 1" }, "start i1"],
    ["OnFailure too [I7]", { i1: "exit 1" }, "start i1", { restartPolicy: "OnFailure" }],
    ["Never ends the pod [I8]", { i1: "exit 1" }, "end", { restartPolicy: "Never" }],
    ["the next once the sidecar runs [I2]", { i1: "exit 0", s1: "run" }, "start i2"],
    ["a sidecar that exits is restarted [I4]", { i1: "exit 0", s1: "exit 0" }, "start s1"],
    ["also with Never [I4]", { i1: "exit 0", s1: "exit 0" }, "start s1", { restartPolicy: "Never" }],
    ["beside the chain [I4]", { i1: "exit 0", s1: "exit 1", i2: "run" }, "start s1"],
    ["both in one pass [I6]", { ...DONE, s1: "exit 1", s2: "exit 1" }, "start s1, start s2"],
    ["main containers in list order [I9]", UP, "start a, start b"],
    ["all runs", { ...UP, a: "run", b: "run" }, ""],
    ["a main container is restarted [R1]", { ...UP, a: "exit 0", b: "run" }, "start a"],
    ["not with OnFailure after 0 [R1]", { ...UP, a: "exit 0", b: "run" }, "", { restartPolicy: "OnFailure" }],
    ["sidecar beside main [I4]", { ...UP, s1: "exit 1", a: "run", b: "run" }, "start s1"],
    ["forgotten init containers stay done [I11]", { s1: "run", s2: "run", a: "run", b: "run" }, ""],
    ["a forgotten sidecar is started [I11]", { s2: "run", a: "run", b: "run" }, "start s1"],
    ["main over, sidecars run [T13]", { ...UP, a: "exit 0", b: "exit 0" }, "end", { restartPolicy: "Never" }],
    [
      "main over, a sidecar is waiting for its restart [T13]",
      { ...UP, s2: "exit 1", a: "exit 0", b: "exit 1" },
      "end",
      { restartPolicy: "Never" },
    ],
    ["a replaced container is waited for", { ...UP, a: "replacing", b: "run" }, ""],
  ])("%s", (_rule, marks, expected, spec = {}) => {
    expect(actions(pod(marks, spec))).toBe(expected);
  });

  test("kills what runs another image, whatever the policy [O9]", () => {
    const spec: Partial<PodSpec> = {
      restartPolicy: "Never",
      containers: [
        { name: "a", image: "new" },
        { name: "b", image: "img" },
      ],
    };
    const { kill } = computePodActions(pod({ ...UP, a: "run", b: "run" }, spec));
    expect(kill).toEqual([
      {
        name: "a",
        cause: "definition changed",
        message: "Container a definition changed, will be restarted",
        restarts: true,
      },
    ]);
  });

  test("a container's own policy and rules come before the pod's [R1]", () => {
    const rule = { action: "Restart", exitCodes: { operator: "In", values: [42] } };
    const spec: Partial<PodSpec> = {
      initContainers: [],
      containers: [
        { name: "a", image: "img", restartPolicy: "Never", restartPolicyRules: [rule] },
        { name: "b", image: "img" },
      ],
    };
    expect(actions(pod({ a: "exit 42", b: "run" }, spec))).toBe("start a");
    expect(actions(pod({ a: "exit 1", b: "run" }, spec))).toBe("");
  });

  describe("without a sandbox", () => {
    const none = { sandbox: "none", sandboxAttempts: 0 } as const;
    const dead = { sandbox: "dead" } as const;
    test.each<[string, Marks, Partial<PodSpec>, Partial<ObservedPod>, string]>([
      ["the first one", {}, {}, none, "new sandbox, start i1"],
      ["no init containers", {}, { initContainers: [] }, none, "new sandbox, start a, start b"],
      ["all again [I12]", { ...UP, a: "run", b: "run" }, {}, dead, "new sandbox, start i1"],
      ["not with Never [I12]", { ...UP, a: "run" }, { restartPolicy: "Never" }, dead, "end"],
      [
        "OnFailure skips what succeeded [I12]",
        { a: "exit 0", b: "exit 1" },
        { restartPolicy: "OnFailure", initContainers: [] },
        dead,
        "new sandbox, start b",
      ],
      ["nothing left to do [I12]", { a: "exit 0", b: "exit 0" }, { restartPolicy: "OnFailure" }, dead, "end"],
    ])("%s", (_rule, marks, spec, more, expected) => {
      expect(actions(pod(marks, spec, more))).toBe(expected);
    });
  });

  describe("with probes", () => {
    const probes = (part: Partial<typeof NO_PROBES>) => ({ probes: { ...NO_PROBES, ...part } });

    test("a sidecar's startup probe gates the chain, and restarts it when it fails [I2, I3]", () => {
      const marks = { i1: "exit 0", s1: "run" };
      const awaitsStartup = new Set(["s1"]);
      const waiting = pod(marks, {}, probes({ awaitsStartup }));
      expect(actions(waiting)).toBe("");
      const passed = pod(marks, {}, probes({ awaitsStartup, startup: new Map([["s1", true]]) }));
      expect(actions(passed)).toBe("start i2");
      const failed = pod(marks, {}, probes({ awaitsStartup, startup: new Map([["s1", false]]) }));
      expect(actions(failed)).toBe("kill s1");
    });

    test("a failed liveness probe kills; with Never nothing follows [R12]", () => {
      const liveness = new Map([["a", false]]);
      const facts = pod({ ...UP, a: "run", b: "run" }, {}, probes({ liveness }));
      expect(computePodActions(facts).kill[0]?.message).toBe(
        "Container a failed liveness probe, will be restarted",
      );
      const never = pod({ ...UP, a: "run", b: "run" }, { restartPolicy: "Never" }, probes({ liveness }));
      expect(computePodActions(never).kill[0]?.message).toBe("Container a failed liveness probe");
    });
  });
});

const mark = fc.constantFrom("never", "run", "exit 0", "exit 1", "replacing");
const anyPod = fc
  .record({
    policy: fc.constantFrom("Always", "OnFailure", "Never"),
    marks: fc.record({ i1: mark, s1: mark, i2: mark, s2: mark, a: mark, b: mark }),
    sandbox: fc.constantFrom("none" as const, "ready" as const, "dead" as const),
  })
  .map(({ policy, marks, sandbox }) => {
    const known = Object.fromEntries(Object.entries(marks).filter(([, value]) => value !== "never"));
    return pod(known, { restartPolicy: policy }, { sandbox });
  });

describe("computePodActions() in any situation", () => {
  const isRunning = (facts: ObservedPod, name: string | undefined) => {
    const known = facts.containers.get(name ?? "");
    return known !== undefined && known.instance.end === undefined;
  };

  test("starts nothing that runs, unless the sandbox is replaced first", () => {
    fc.assert(
      fc.property(anyPod, (facts) => {
        const { startInit, start, createSandbox } = computePodActions(facts);
        const started = [
          ...startInit.map((index) => facts.spec.initContainers?.[index]?.name),
          ...start.map((index) => facts.spec.containers[index]?.name),
        ];
        return createSandbox || started.every((name) => !isRunning(facts, name));
      }),
    );
  });

  test("ends a pod or starts something, never both", () => {
    fc.assert(
      fc.property(anyPod, (facts) => {
        const { killPod, createSandbox, startInit, start } = computePodActions(facts);
        return !killPod || (!createSandbox && startInit.length + start.length === 0);
      }),
    );
  });

  test("starts main containers only when every init container has been passed", () => {
    fc.assert(
      fc.property(anyPod, (facts) => {
        const { start } = computePodActions(facts);
        if (start.length === 0) return true;
        const hasMain = ["a", "b"].some((name) => isRunning(facts, name));
        return hasMain || isRunning(facts, "s2");
      }),
    );
  });
});
