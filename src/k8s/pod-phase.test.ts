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
}

function phaseOf({ policy = "Always", init = [], sidecars = [], main, isTornDown = false }: Case): string {
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
  const hasInitialized = main.some((mark) => !["-", "wait"].includes(mark));
  return podPhase({ spec, statuses, isTornDown, hasInitialized });
}

describe("podPhase() follows the kubelet's getPhase", () => {
  const cases: readonly [expected: string, rule: string, facts: Case][] = [
    ["Pending", "nothing has started", { main: ["wait"] }],
    ["Pending", "nothing is known", { main: ["-"] }],
    ["Running", "everything runs", { main: ["run", "run"] }],
    ["Pending", "P4: one has not started yet", { main: ["run", "wait"] }],
    ["Running", "P5: one has ended, another runs", { main: ["ok", "run"], policy: "Never" }],
    ["Running", "P7: Always restarts, also after 0", { main: ["ok"] }],
    ["Running", "P11: crash loop", { main: ["backoff-bad"] }],
    ["Succeeded", "P7: Never, all 0", { main: ["ok", "ok"], policy: "Never" }],
    ["Failed", "P7: Never, one failed", { main: ["ok", "bad"], policy: "Never" }],
    ["Succeeded", "P7: OnFailure, all 0", { main: ["ok"], policy: "OnFailure" }],
    ["Running", "P7: OnFailure, one failed", { main: ["ok", "bad"], policy: "OnFailure" }],
    ["Succeeded", "P6: torn down, all 0", { main: ["ok"], isTornDown: true }],
    ["Failed", "P6: torn down, one failed", { main: ["bad", "ok"], isTornDown: true }],
    ["Failed", "P6: torn down while backing off", { main: ["backoff-bad"], isTornDown: true }],
    ["Failed", "P1: init failed for good", { init: ["bad"], main: ["wait"], policy: "Never" }],
    ["Pending", "P2: init failed, is restarted", { init: ["bad"], main: ["wait"], policy: "OnFailure" }],
    ["Pending", "P11: init in a crash loop", { init: ["backoff-bad"], main: ["wait"] }],
    ["Pending", "P2: init runs", { init: ["run"], main: ["wait"] }],
    ["Pending", "P2: second init has no status", { init: ["ok", "-"], main: ["wait"] }],
    ["Pending", "P3: sidecar not started", { sidecars: ["start"], main: ["wait"] }],
    ["Running", "P3: sidecar restarting, main has run", { sidecars: ["start"], main: ["run"] }],
    ["Pending", "P4: sidecar waits for its first start", { sidecars: ["wait"], main: ["run"] }],
    ["Running", "P9: sidecar in a crash loop", { sidecars: ["backoff-bad"], main: ["run"] }],
    ["Running", "P5: main done, sidecar stopping", { sidecars: ["run"], main: ["ok"], policy: "Never" }],
    ["Succeeded", "T14: sidecar's exit code", { sidecars: ["bad"], main: ["ok"], policy: "Never" }],
  ];
  test.each(cases)("%s: %s", (expected, _rule, facts) => {
    expect(phaseOf(facts)).toBe(expected);
  });
});
