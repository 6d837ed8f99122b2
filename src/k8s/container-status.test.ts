import { describe, expect, test } from "bun:test";
import type { Container, PodSpec } from "../../generated/kubernetes.ts";
import {
  containerStatus,
  inStatusOrder,
  type ContainerEnd,
  type ContainerFacts,
  type ContainerInstance,
} from "./container-status.ts";

const SPEC: PodSpec = {
  initContainers: [{ name: "z-init" }, { name: "proxy", restartPolicy: "Always" }, { name: "a-init" }],
  containers: [{ name: "web" }, { name: "app" }],
  ephemeralContainers: [{ name: "y-debug" }, { name: "debug" }],
};

const OK: ContainerEnd = { exitCode: 0, reason: "Completed", finishedAt: 2000 };
const BAD: ContainerEnd = { exitCode: 7, reason: "Error", message: "no", finishedAt: 2000 };

function instance(name: string, end?: ContainerEnd, restartCount = 0): ContainerInstance {
  const known = { name, id: "abc", restartCount, image: "img", imageID: "img@sha256:0", startedAt: 1000 };
  return end === undefined ? known : { ...known, end };
}

function statusOf(name: string, facts: Partial<ContainerFacts>, spec: PodSpec = SPEC) {
  const all: Container[] = [
    ...(spec.initContainers ?? []),
    ...spec.containers,
    ...(spec.ephemeralContainers ?? []),
  ];
  const container = all.find((one) => one.name === name);
  if (container === undefined) throw new Error(name);
  return containerStatus(spec, container, { isToBeStarted: true, ...facts });
}

describe("containerStatus()", () => {
  test("before anything ran waits for the pod, or for the init containers, which are not told apart [S1]", () => {
    for (const name of ["z-init", "proxy", "web"])
      expect(statusOf(name, {}).state).toEqual({ waiting: { reason: "PodInitializing" } });
    const plain = { containers: [{ name: "web" }] };
    expect(statusOf("web", {}, plain).state).toEqual({ waiting: { reason: "ContainerCreating" } });
  });

  test("of an end tells code, reason, message, times and id [S5, S13]", () => {
    const { state, imageID, containerID } = statusOf("web", {
      current: instance("web", BAD),
      isToBeStarted: false,
    });
    expect({ state, imageID, containerID }).toEqual({
      state: {
        terminated: {
          exitCode: 7,
          reason: "Error",
          message: "no",
          startedAt: "1970-01-01T00:00:01Z",
          finishedAt: "1970-01-01T00:00:02Z",
          containerID: "pillion://abc",
        },
      },
      imageID: "img@sha256:0",
      containerID: "pillion://abc",
    });
  });

  test("shows why the last start failed only when there will be another [S3]", () => {
    const failure = { reason: "CrashLoopBackOff", message: "back-off" };
    const facts = { current: instance("web", BAD), failure };
    const waiting = statusOf("web", facts);
    expect([waiting.state, waiting.lastState?.terminated?.exitCode]).toEqual([{ waiting: failure }, 7]);
    const ended = statusOf("web", { ...facts, isToBeStarted: false });
    expect([ended.state?.terminated?.exitCode, ended.lastState]).toEqual([7, {}]);
    expect(statusOf("web", { current: instance("web", BAD) }).state?.terminated?.exitCode).toBe(7);
  });

  test("keeps one instance before the present one [S8]", () => {
    const facts = { current: instance("web", undefined, 3), previous: instance("web", BAD, 2) };
    const { lastState, restartCount } = statusOf("web", facts);
    expect([lastState?.terminated?.exitCode, restartCount]).toEqual([7, 3]);
  });

  test.each<[string, Partial<ContainerFacts>, boolean, boolean | undefined]>([
    ["z-init", { current: instance("z-init") }, false, true],
    ["z-init", { current: instance("z-init", OK) }, true, false],
    ["z-init", { current: instance("z-init", BAD) }, false, false],
    ["proxy", { current: instance("proxy") }, true, true],
    ["proxy", { current: instance("proxy"), startup: false }, false, false],
    ["proxy", { current: instance("proxy"), startup: true, readiness: false }, false, true],
    ["web", {}, false, false],
    ["web", { current: instance("web"), readiness: true }, true, true],
    ["web", { current: instance("web"), readiness: false }, false, true],
    ["web", { current: instance("web"), startup: false, readiness: true }, false, false],
    ["web", { current: instance("web", OK) }, false, false],
    ["debug", { current: instance("debug") }, false, undefined],
  ])("%s, %j: ready %p, started %p [S9, S10]", (name, facts, ready, started) => {
    const status = statusOf(name, facts);
    expect([status.ready, status.started]).toEqual([ready, started]);
  });

  test("tells mounts, the signal to stop and, while it runs, resources [S14]", () => {
    const resources = { limits: { memory: "1Gi" }, requests: { memory: "1Gi" } };
    const volumeMounts = [
      { name: "v", mountPath: "/v" },
      { name: "r", mountPath: "/r", readOnly: true },
      { name: "p", mountPath: "/p", readOnly: true, recursiveReadOnly: "IfPossible" },
    ];
    const lifecycle = { stopSignal: "SIGQUIT" };
    const spec: PodSpec = { containers: [{ name: "web", resources, volumeMounts, lifecycle }] };
    expect(statusOf("web", { current: instance("web") }, spec)).toMatchObject({
      resources,
      stopSignal: "SIGQUIT",
      allocatedResources: { memory: "1Gi" },
      volumeMounts: [
        { name: "v", mountPath: "/v" },
        { name: "r", mountPath: "/r", readOnly: true, recursiveReadOnly: "Disabled" },
        { name: "p", mountPath: "/p", readOnly: true, recursiveReadOnly: "Enabled" },
      ],
    });
    expect(statusOf("web", {}, spec).resources).toBeUndefined();
  });
});

test("statuses come by name, those of init containers as they are declared [S11]", () => {
  const { init, main, ephemeral } = inStatusOrder(SPEC);
  const names = [init, main, ephemeral].map((list) => list.map(({ name }) => name));
  expect(names).toEqual([
    ["z-init", "proxy", "a-init"],
    ["app", "web"],
    ["debug", "y-debug"],
  ]);
});

test("containerStatus() tells who the instance runs as, whatever the pod asked for [S14]", () => {
  const user = { uid: 101, gid: 102, supplementalGroups: [102, 2000] };
  const current = { ...instance("web"), user };
  expect(statusOf("web", { current }).user).toEqual({ linux: user });
  expect(statusOf("web", { current: instance("web") }).user).toBeUndefined();
});
