import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { SidecarEntry } from "../config/sidecar-file.ts";
import { Output } from "../lib/output.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import {
  entryOf,
  type ScriptedRun,
  scriptedSidecar,
  settle,
  wellBehaved,
} from "../testing/scripted-sidecar.ts";
import { FolderWatches } from "./folder-watches.ts";
import { Logger } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { planReload } from "./reload-plan.ts";
import { declareRuntimeMetrics } from "./runtime-metrics.ts";
import { SidecarSet } from "./sidecar-set.ts";

const state = mkdtempSync(join(tmpdir(), "pillion-set-"));
afterAll(() => rmSync(state, { recursive: true }));

function setUp(play: (run: ScriptedRun) => void, names: readonly string[]) {
  const clock = new ManualClock();
  const { sidecar, runs } = scriptedSidecar(play);
  const logged: string[] = [];
  const write = async (text: string): Promise<void> => void logged.push(text);
  const logger = new Logger({ clock, write, level: "info", format: "json" });
  const metrics = new Metrics(() => undefined);
  const watches = new FolderWatches(clock, () => undefined);
  const counters = declareRuntimeMetrics({ metrics, version: "1", logger, watches, healths: () => [] });
  const pod = {
    name: undefined,
    namespace: undefined,
    uid: undefined,
    node: undefined,
    ip: undefined,
    labels: {},
  };
  const world = { clock, env: {}, pod, stdout: new Output(1), watches };
  const entries = (texts: readonly string[]): SidecarEntry[] =>
    texts.map((text) => entryOf(text.slice(0, 1), sidecar, { fingerprint: text }));
  let now = entries(names);
  const set = new SidecarSet(
    { world, logger, metrics, counters, state, once: false, random: () => 0.5 },
    now,
  );
  return {
    clock,
    runs,
    set,
    logged,
    /** `a1` is sidecar `a` with fingerprint `a1`. */
    reload: async (texts: readonly string[]): Promise<void> => {
      const next = entries(texts);
      const plan = planReload(now, next);
      now = next;
      await set.apply(plan, next);
    },
    live: () => runs.filter(({ isOver }) => !isOver).map(({ context }) => context.name),
    starts: (name: string) =>
      Number(
        new RegExp(`scripted_starts_total{sidecar="${name}"} (\\d+)`).exec(metrics.text())?.[1] ?? Number.NaN,
      ),
    metric: (line: string) => metrics.text().includes(line),
  };
}

test("a reload restarts what changed, starts what is new, stops what is gone, and leaves the rest alone", async () => {
  const { set, reload, runs, live, starts } = setUp(wellBehaved, ["a1", "b1", "c1"]);
  void set.start();
  await settle();
  await reload(["d1", "b2", "a1"]);
  await settle();
  expect(live().toSorted()).toEqual(["a", "b", "d"]);
  expect(set.all.map(({ name }) => name)).toEqual(["d", "b", "a"]);
  expect(runs.map(({ context }) => [context.name, context.signal.reason])).toEqual([
    ["a", undefined],
    ["b", "reload"],
    ["c", "reload"],
    ["d", undefined],
    ["b", undefined],
  ]);
  expect([starts("a"), starts("b"), starts("c"), starts("d")]).toEqual([1, 2, Number.NaN, 1]);
  await set.stop();
  expect(live()).toEqual([]);
});

test("a successor waits for its predecessor, two seconds and a half at most", async () => {
  const { set, reload, runs, clock, logged } = setUp((run) => run.started(), ["a1"]);
  void set.start();
  await settle();
  const reloaded = reload(["a2"]);
  await settle();
  expect([runs.length, set.all.length, set.find("a")?.state]).toEqual([1, 2, "starting"]);
  clock.advance(2_000);
  await settle();
  expect([runs.length, runs[0]?.context.deadline.aborted]).toEqual([1, true]);
  clock.advance(500);
  await reloaded;
  await settle();
  expect([runs.length, set.all.length, set.find("a")?.state]).toEqual([2, 1, "running"]);
  expect(logged.join("")).toContain("E_SIDECAR_NOT_ENDED");
  set.endTime();
  clock.advance(500);
  await set.stop();
});

test("a sidecar that breaks, hangs or throws harms no other one", async () => {
  const { set, runs, clock, metric } = setUp(
    (run) => {
      if (run.context.name === "b") throw new Error("at once");
      if (run.context.name === "c") return undefined;
      if (run.context.name === "d") {
        run.context.host.schedule(10, () => {
          throw new Error("in a timer");
        });
      }
      return wellBehaved(run);
    },
    ["a1", "b1", "c1", "d1"],
  );
  void set.start();
  await settle();
  clock.advance(10);
  await settle();
  expect(set.current.map(({ name, state, health }) => [name, state, health.state])).toEqual([
    ["a", "running", "ready"],
    ["b", "backing-off", "failing"],
    ["c", "starting", "degraded"],
    ["d", "backing-off", "failing"],
  ]);
  expect(metric('pillion_uncaught_errors_total{sidecar="d"} 1')).toBe(true);
  clock.advance(500);
  await settle();
  expect(set.find("d")?.state).toBe("running");
  expect(runs.filter(({ context }) => context.name === "a")).toHaveLength(1);
  const stopped = set.stop();
  set.endTime();
  clock.advance(500);
  await stopped;
});

test("an error that nobody waited for is laid at the door it came from, and at none when that is not clear", async () => {
  const { set, metric, logged } = setUp(wellBehaved, ["a1", "b1"]);
  void set.start();
  await settle();
  set.blame(new Error("whose?"));
  expect(set.current.map(({ health }) => health.state)).toEqual(["ready", "ready"]);
  expect(metric('pillion_uncaught_errors_total{sidecar=""} 1')).toBe(true);
  await settle();
  expect(logged.join("")).toContain("whose?");
  await set.stop();
});

test("every sidecar has a folder of its own that only this user reads", async () => {
  const { set, runs } = setUp(wellBehaved, ["a1", "b1"]);
  void set.start();
  await settle();
  const folders = runs.map(({ context }) => context.host.stateFolder);
  expect(folders).toEqual([join(state, "a"), join(state, "b")]);
  for (const folder of folders) expect(statSync(folder).mode & 0o777).toBe(0o700);
  await set.stop();
});

test("who joins while the process hurries or ends is told so", async () => {
  const { set, reload, runs } = setUp(wellBehaved, ["a1"]);
  void set.start();
  await settle();
  set.hurry();
  await reload(["a1", "b1"]);
  await settle();
  expect(runs.map(({ context }) => context.hurry.aborted)).toEqual([true, true]);
  const stopped = set.stop();
  await reload(["a1", "b1", "c1"]);
  await stopped;
  await settle();
  expect(runs).toHaveLength(2);
});

const names = fc
  .subarray(["a", "b", "c"])
  .chain((chosen) => fc.tuple(...chosen.map((name) => fc.constantFrom(`${name}1`, `${name}2`))));
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ what: fc.constant("reload" as const), names }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constantFrom("break", "finish", "wait" as const), at: fc.nat(2) }),
  },
);

test("after any reloads, breaks and waits: one run per sidecar, the last configuration runs, counters never shrink", async () => {
  await fc.assert(
    fc.asyncProperty(names, fc.array(step, { maxLength: 10 }), async (first, steps) => {
      const world = setUp(wellBehaved, first);
      const { set, clock, live } = world;
      void set.start();
      await settle();
      let wanted: readonly string[] = first;
      const counted = new Map<string, number>();
      for (const one of steps) {
        if ("names" in one) {
          const reloaded = world.reload(one.names);
          for (const name of counted.keys())
            if (!one.names.some((text) => text.startsWith(name))) counted.delete(name);
          wanted = one.names;
          await settle();
          await reloaded;
        } else if (one.what === "wait") clock.advance(2_000);
        else {
          const run = world.runs.filter(({ isOver }) => !isOver).at(one.at);
          if (one.what === "break") run?.breakDown(new Error("broken"));
          else run?.finish();
        }
        await settle();
        expect(new Set(live()).size).toBe(live().length);
        for (const { name } of set.current) {
          const starts = world.starts(name);
          expect(starts).toBeGreaterThanOrEqual(counted.get(name) ?? 0);
          counted.set(name, starts);
        }
      }
      clock.advance(60_000);
      await settle();
      expect(live().toSorted()).toEqual(wanted.map((text) => text.slice(0, 1)).toSorted());
      await set.stop();
      expect([live(), clock.pending]).toEqual([[], 0]);
    }),
    { numRuns: 40 },
  );
});
