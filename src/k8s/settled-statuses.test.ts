import { expect, test } from "bun:test";
import type { ContainerState, ContainerStatus, PodSpec } from "../../generated/kubernetes.ts";
import { settledStatuses } from "./settled-statuses.ts";

type Mark = "wait" | "run" | "ok" | "backoff";

const STATES: Record<Mark, { readonly state: ContainerState; readonly lastState?: ContainerState }> = {
  wait: { state: { waiting: { reason: "PodInitializing" } } },
  run: { state: { running: {} } },
  ok: { state: { terminated: { exitCode: 0, reason: "Completed" } } },
  backoff: {
    state: { waiting: { reason: "CrashLoopBackOff" } },
    lastState: { terminated: { exitCode: 1, reason: "Error" } },
  },
};

function settle(init: Readonly<Record<string, Mark>>, main: readonly Mark[]): string {
  const status = (name: string, mark: Mark): ContainerStatus => ({
    name,
    image: "",
    imageID: "",
    ready: false,
    restartCount: 0,
    started: true,
    ...STATES[mark],
  });
  const spec: PodSpec = {
    initContainers: Object.keys(init).map((name) => ({
      name,
      ...(name.startsWith("side") ? { restartPolicy: "Always" } : {}),
    })),
    containers: main.map((_, index) => ({ name: `main${index}` })),
  };
  const settled = settledStatuses(spec, {
    init: Object.entries(init).map(([name, mark]) => status(name, mark)),
    main: main.map((mark, index) => status(`main${index}`, mark)),
  });
  const words = ({ state }: ContainerStatus) =>
    state?.terminated === undefined ? "-" : state.terminated.reason === "Completed" ? "ok" : "lost";
  return `${settled.init.map(words).join(" ")} / ${settled.main.map(words).join(" ")}`;
}

test.each<[string, Readonly<Record<string, Mark>>, readonly Mark[], string]>([
  [
    "main containers of a pod without init containers, also those that never started",
    {},
    ["wait", "ok"],
    " / lost ok",
  ],
  ["main containers when one has started", { a: "ok" }, ["backoff", "wait"], "ok / lost lost"],
  [
    "nobody but the first init container of a pod that came no further",
    { a: "wait", b: "wait" },
    ["wait"],
    "lost - / -",
  ],
  [
    "init containers up to the last that has begun",
    { a: "ok", b: "backoff", c: "wait" },
    ["wait"],
    "ok lost - / -",
  ],
  ["main containers when the last init container had succeeded", { a: "ok" }, ["wait"], "ok / lost"],
  ["main containers when the last sidecar had started", { side: "run" }, ["wait"], "lost / lost"],
  ["no main container while a sidecar was to be started", { side: "wait" }, ["wait"], "lost / -"],
])("a pod that is over counts as lost: %s [T20]", (_what, init, main, expected) => {
  expect(settle(init, main)).toBe(expected);
});
