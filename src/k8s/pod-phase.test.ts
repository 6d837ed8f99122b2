import { describe, expect, test } from "bun:test";
import type { ContainerState, ContainerStatus, PodSpec } from "../../generated/kubernetes.ts";
import { podPhase } from "./pod-phase.ts";

/** How a container stands: `-` has no status. */
type Mark = "-" | "wait" | "run" | "start" | "ok" | "bad" | "backoff-ok" | "backoff-bad";

const STATES: Record<
  Exclude<Mark, "-">,
  { state: ContainerState; lastState?: ContainerState; started: boolean }
> = {
  wait: { state: { waiting: { reason: "ContainerCreating" } }, started: false },
  run: { state: { running: {} }, started: true },
  start: { state: { running: {} }, started: false },
  ok: { state: { terminated: { exitCode: 0 } }, started: false },
  bad: { state: { terminated: { exitCode: 1 } }, started: false },
  "backoff-ok": {
    state: { waiting: { reason: "CrashLoopBackOff" } },
    lastState: { terminated: { exitCode: 0 } },
    started: false,
  },
  "backoff-bad": {
    state: { waiting: { reason: "CrashLoopBackOff" } },
    lastState: { terminated: { exitCode: 1 } },
    started: false,
  },
};

interface Case {
  readonly policy?: string;
  readonly init?: readonly Mark[];
  readonly sidecars?: readonly Mark[];
  readonly main: readonly Mark[];
  readonly isTornDown?: boolean;
  /** Of the present sandbox; a main container may have run in the one before. */
  readonly hasInitialized?: boolean;
}

function phaseOf({
  policy = "Always",
  init = [],
  sidecars = [],
  main,
  isTornDown = false,
  ...more
}: Case): string {
  const statuses: ContainerStatus[] = [];
  const named = (prefix: string, marks: readonly Mark[], extra = {}) =>
    marks.map((mark, index) => {
      const name = `${prefix}${index}`;
      if (mark !== "-")
        statuses.push({ name, image: "", imageID: "", ready: false, restartCount: 0, ...STATES[mark] });
      return { name, ...extra };
    });
  const spec: PodSpec = {
    restartPolicy: policy,
    initContainers: [...named("init", init), ...named("sidecar", sidecars, { restartPolicy: "Always" })],
    containers: named("main", main),
  };
  const { hasInitialized = main.some((mark) => !["-", "wait"].includes(mark)) } = more;
  return podPhase({ spec, statuses, isTornDown, hasInitialized });
}

describe("podPhase() follows the kubelet's getPhase", () => {
  const cases: readonly [expected: string, rule: string, facts: Case][] = [
    ["Pending", "nothing has started", { main: ["wait"] }],
    ["Pending", "nothing is known [P8]", { main: ["-"] }],
    ["Running", "everything runs", { main: ["run", "run"] }],
    ["Pending", "one has not started yet [P4]", { main: ["run", "wait"] }],
    ["Running", "one has ended, another runs [P5]", { main: ["ok", "run"], policy: "Never" }],
    ["Running", "Always restarts, also after 0 [P7]", { main: ["ok"] }],
    ["Running", "crash loop [P11]", { main: ["backoff-bad"] }],
    ["Succeeded", "Never, all 0 [P7]", { main: ["ok", "ok"], policy: "Never" }],
    ["Failed", "Never, one failed [P7]", { main: ["ok", "bad"], policy: "Never" }],
    ["Succeeded", "OnFailure, all 0 [P7]", { main: ["ok"], policy: "OnFailure" }],
    ["Running", "OnFailure, one failed [P7]", { main: ["ok", "bad"], policy: "OnFailure" }],
    ["Succeeded", "torn down, all 0 [P6]", { main: ["ok"], isTornDown: true }],
    ["Failed", "torn down, one failed [P6]", { main: ["bad", "ok"], isTornDown: true }],
    ["Failed", "torn down while backing off [P6]", { main: ["backoff-bad"], isTornDown: true }],
    ["Failed", "init failed for good [P1]", { init: ["bad"], main: ["wait"], policy: "Never" }],
    ["Pending", "init failed, is restarted [P2]", { init: ["bad"], main: ["wait"], policy: "OnFailure" }],
    ["Pending", "init in a crash loop [P11]", { init: ["backoff-bad"], main: ["wait"] }],
    ["Pending", "init runs [P2]", { init: ["run"], main: ["wait"] }],
    ["Pending", "second init has no status [P2]", { init: ["ok", "-"], main: ["wait"] }],
    ["Pending", "sidecar not started [P3]", { sidecars: ["start"], main: ["wait"] }],
    [
      "Pending",
      "sidecar not started in a new sandbox, main ran in the one before [P3]",
      { sidecars: ["start"], main: ["bad"], hasInitialized: false },
    ],
    ["Running", "sidecar restarting, main has run [P3]", { sidecars: ["start"], main: ["run"] }],
    ["Pending", "sidecar waits for its first start [P4]", { sidecars: ["wait"], main: ["run"] }],
    ["Running", "sidecar in a crash loop [P9]", { sidecars: ["backoff-bad"], main: ["run"] }],
    ["Running", "main done, sidecar stopping [P5]", { sidecars: ["run"], main: ["ok"], policy: "Never" }],
    ["Succeeded", "sidecar's exit code [T14]", { sidecars: ["bad"], main: ["ok"], policy: "Never" }],
  ];
  test.each(cases)("%s: %s", (expected, _rule, facts) => {
    expect(phaseOf(facts)).toBe(expected);
  });
});
