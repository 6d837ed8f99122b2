import { describe, expect, test } from "bun:test";
import type { ContainerStatus, Pod } from "../../../../generated/kubernetes.ts";
import { podPrinter } from "./pod-table.ts";

const NOW = Date.parse("2026-01-01T01:00:00Z");
const MINUTE_AGO = "2026-01-01T00:59:00Z";

function status(name: string, rest: Partial<ContainerStatus> = {}): ContainerStatus {
  return { name, image: "", imageID: "", ready: false, restartCount: 0, ...rest };
}

const running: Partial<ContainerStatus> = {
  ready: true,
  started: true,
  state: { running: { startedAt: MINUTE_AGO } },
};
const waiting = (reason: string) => ({ state: { waiting: { reason } } });
const ended = (exitCode: number, reason?: string, signal?: number) => ({
  state: {
    terminated: {
      exitCode,
      ...(reason === undefined ? {} : { reason }),
      ...(signal === undefined ? {} : { signal }),
    },
  },
});

interface Given {
  readonly main?: readonly ContainerStatus[];
  readonly init?: readonly ContainerStatus[];
  readonly sidecars?: readonly string[];
  readonly pod?: Partial<Pod>;
  readonly phase?: string;
  readonly conditions?: readonly string[];
}

/** A condition is written `Type=Status` or `Type=Status/Reason`. */
function row({ main = [], init = [], sidecars = [], pod = {}, phase = "Running", conditions = [] }: Given) {
  const object = {
    apiVersion: "v1",
    kind: "Pod",
    spec: {
      containers: main.map(({ name }) => ({ name })),
      initContainers: init.map(({ name }) => ({
        name,
        ...(sidecars.includes(name) ? { restartPolicy: "Always" } : {}),
      })),
    },
    status: {
      phase,
      containerStatuses: main,
      initContainerStatuses: init,
      conditions: conditions.map((text) => {
        const [type = "", state = "", reason = ""] = text.split(/[=/]/);
        return { type, status: state, reason };
      }),
    },
    ...pod,
    metadata: { name: "web", creationTimestamp: "2026-01-01T00:00:00Z", ...pod.metadata },
  };
  return podPrinter.row(object, NOW);
}

/** READY, STATUS, RESTARTS */
function shown(given: Given): string {
  return row(given).slice(1, 4).join(" ");
}

describe("the pods table", () => {
  test("has the columns that kubectl users know", () => {
    expect(podPrinter.columns.map(({ name, priority }) => `${name}${priority === 1 ? "*" : ""}`)).toEqual([
      "Name",
      "Ready",
      "Status",
      "Restarts",
      "Age",
      "IP*",
      "Node*",
      "Nominated Node*",
      "Readiness Gates*",
    ]);
  });

  test("shows a running pod in full", () => {
    const pod = {
      spec: {
        containers: [{ name: "a" }],
        nodeName: "pillion",
        readinessGates: [{ conditionType: "g" }, { conditionType: "h" }],
      },
      status: {
        phase: "Running",
        podIPs: [{ ip: "10.0.0.4" }],
        containerStatuses: [status("a", running)],
        conditions: [{ type: "g", status: "True" }],
      },
    };
    expect(row({ pod })).toEqual([
      "web",
      "1/1",
      "Running",
      "0",
      "60m",
      "10.0.0.4",
      "pillion",
      "<none>",
      "1/2",
    ]);
  });

  test("shows an empty pod without failing", () => {
    expect(podPrinter.row({ apiVersion: "v1", kind: "Pod", metadata: {} }, NOW)).toEqual([
      "",
      "0/0",
      "",
      "0",
      "<unknown>",
      "<none>",
      "<none>",
      "<none>",
      "<none>",
    ]);
  });

  test.each<[string, Given, string]>([
    [
      "counts sidecars [K1]",
      { main: [status("a", running)], init: [status("s", running)], sidecars: ["s"] },
      "2/2 Running 0",
    ],
    [
      "counts a sidecar that is not ready [K1]",
      { main: [status("a", running)], init: [status("s", { ...running, ready: false })], sidecars: ["s"] },
      "1/2 Running 0",
    ],
    ["starts as phase [K2]", { main: [], phase: "Pending" }, "0/0 Pending 0"],
    [
      "prefers status.reason [K2]",
      { phase: "Failed", pod: { status: { phase: "Failed", reason: "Evicted" } } },
      "0/0 Evicted 0",
    ],
    [
      "counts init containers that are through [K2]",
      {
        main: [status("a")],
        init: [status("i", ended(0, "Completed")), status("j", { state: { running: {} } })],
      },
      "0/1 Init:1/2 0",
    ],
    [
      "shows why an init container waits [K2]",
      { init: [status("i", waiting("CrashLoopBackOff"))] },
      "0/0 Init:CrashLoopBackOff 0",
    ],
    [
      "never shows Init:PodInitializing [K2]",
      { init: [status("i", waiting("PodInitializing"))] },
      "0/0 Init:0/1 0",
    ],
    [
      "shows how an init container ended [K2]",
      { init: [status("i", ended(1, "Error"))] },
      "0/0 Init:Error 0",
    ],
    ["shows a bare exit code [K2]", { init: [status("i", ended(3))] }, "0/0 Init:ExitCode:3 0"],
    ["shows a signal [K2]", { init: [status("i", ended(137, undefined, 9))] }, "0/0 Init:Signal:9 0"],
    [
      "skips sidecars that have started [K2]",
      {
        init: [status("s", running), status("j", { state: { running: {} } })],
        sidecars: ["s"],
        main: [status("a")],
      },
      "1/2 Init:1/2 0",
    ],
    [
      "does not skip sidecars that have not [K2]",
      {
        init: [status("s", { started: false, state: { running: {} } })],
        sidecars: ["s"],
        main: [status("a")],
      },
      "0/2 Init:0/1 0",
    ],
    [
      "shows why a main container waits [K3]",
      { main: [status("a", waiting("ImagePullBackOff"))] },
      "0/1 ImagePullBackOff 0",
    ],
    [
      "lets the first container have the last word [K3]",
      { main: [status("a", waiting("ErrImagePull")), status("b", ended(1, "Error"))] },
      "0/2 ErrImagePull 0",
    ],
    [
      "shows Completed [K3]",
      { main: [status("a", ended(0, "Completed"))], phase: "Succeeded" },
      "0/1 Completed 0",
    ],
    ["shows a bare exit code [K3]", { main: [status("a", ended(2))], phase: "Failed" }, "0/1 ExitCode:2 0"],
    [
      "shows Running when one of two is through and the pod is ready [K3]",
      { main: [status("a", ended(0, "Completed")), status("b", running)], conditions: ["Ready=True"] },
      "1/2 Running 0",
    ],
    [
      "shows NotReady when the pod is not ready [K3]",
      { main: [status("a", ended(0, "Completed")), status("b", running)] },
      "1/2 NotReady 0",
    ],
    [
      "shows the failure of another container rather than Completed [K3]",
      { main: [status("a", ended(0, "Completed")), status("b", ended(1, "Error"))], phase: "Failed" },
      "0/2 Error 0",
    ],
    [
      "looks at main containers once the pod is initialized, whatever its sidecars do [K3]",
      {
        main: [status("a", running)],
        init: [status("s", waiting("CrashLoopBackOff"))],
        sidecars: ["s"],
        conditions: ["Initialized=True"],
      },
      "1/2 Running 0",
    ],
    [
      "shows scheduling gates",
      { phase: "Pending", conditions: ["PodScheduled=False/SchedulingGated"] },
      "0/0 SchedulingGated 0",
    ],
    [
      "shows Terminating [K4]",
      { main: [status("a", running)], pod: { metadata: { deletionTimestamp: MINUTE_AGO } } },
      "1/1 Terminating 0",
    ],
    [
      "shows the end of a pod that has one [K4]",
      {
        main: [status("a", ended(0, "Completed"))],
        phase: "Succeeded",
        pod: { metadata: { deletionTimestamp: MINUTE_AGO } },
      },
      "0/1 Completed 0",
    ],
    [
      "sums the restarts of sidecars and main containers, and tells the last [K5]",
      {
        main: [
          status("a", {
            ...running,
            restartCount: 2,
            lastState: { terminated: { exitCode: 1, finishedAt: MINUTE_AGO } },
          }),
        ],
        init: [status("i", { ...ended(0), restartCount: 9 }), status("s", { ...running, restartCount: 1 })],
        sidecars: ["s"],
      },
      "2/2 Running 3 (60s ago)",
    ],
    [
      "tells no time of a restart that nobody has seen end [K5]",
      { main: [status("a", { ...running, restartCount: 2 })] },
      "1/1 Running 2",
    ],
    [
      "shows Unknown when the node of a pod that is being deleted is lost [K4]",
      {
        pod: {
          status: { phase: "Running", reason: "NodeLost" },
          metadata: { deletionTimestamp: MINUTE_AGO },
        },
      },
      "0/0 Unknown 0",
    ],
    [
      "sums the restarts of init containers while initializing [K5]",
      {
        main: [status("a")],
        init: [
          status("i", { ...ended(0), restartCount: 2 }),
          status("j", { ...waiting("CrashLoopBackOff"), restartCount: 3 }),
        ],
      },
      "0/1 Init:CrashLoopBackOff 5",
    ],
  ])("%s", (_claim, given, expected) => {
    expect(shown(given)).toBe(expected);
  });
});
