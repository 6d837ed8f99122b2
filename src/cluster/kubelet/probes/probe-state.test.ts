import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Probe } from "../../../../generated/kubernetes.ts";
import {
  afterOutcome,
  freshState,
  isDelayOver,
  isProbed,
  type ProbeKind,
  type ProbeState,
  seeInstance,
  tickAfter,
  tickAtOrAfter,
} from "./probe-state.ts";

const KINDS: readonly ProbeKind[] = ["startup", "liveness", "readiness"];

function instance(id: string, isRunning = true, startedAt = 0) {
  return { id, isRunning, startedAt };
}

/** The state of a running instance after these outcomes: `+`, `-`, or `?` for an error. */
function after(kind: ProbeKind, outcomes: string, probe: Probe = {}): ProbeState {
  let state = seeInstance(freshState(kind), kind, { instance: instance("a") });
  for (const outcome of outcomes)
    state = afterOutcome(state, kind, { probe, outcome: outcome === "?" ? undefined : outcome === "+" });
  return state;
}

describe("results", () => {
  test("before any result startup is unknown, liveness a success and readiness a failure [PR7]", () => {
    expect(KINDS.map((kind) => after(kind, "").result)).toEqual([undefined, true, false]);
  });

  test.each([
    ["liveness", "--", {}, true],
    ["liveness", "---", {}, false],
    ["liveness", "--+--", {}, true],
    ["liveness", "-", { failureThreshold: 1 }, false],
    ["readiness", "+", {}, true],
    ["readiness", "++", { successThreshold: 3 }, false],
    ["readiness", "++-++", { successThreshold: 3 }, false],
    ["readiness", "+++", { successThreshold: 3 }, true],
    ["readiness", "+--", {}, true],
    ["readiness", "+---", {}, false],
    ["readiness", "+---+", {}, true],
    ["startup", "--", {}, undefined],
    ["startup", "---", {}, false],
    ["startup", "--+", {}, true],
    // 0 means default.
    ["liveness", "--", { failureThreshold: 0 }, true],
    ["readiness", "+", { successThreshold: 0 }, true],
  ] as const)(
    "a result counts after enough equal outcomes: %s %s %j [PR8]",
    (kind, outcomes, probe, result) => {
      expect(after(kind, outcomes, probe).result).toBe(result);
    },
  );

  test("an error changes nothing, and does not end a run [PR14]", () => {
    expect(after("liveness", "--?").result).toBe(true);
    expect(after("liveness", "--?-").result).toBe(false);
    expect(after("readiness", "+???").result).toBe(true);
  });

  test("failed liveness, and startup either way, are on hold until there is a new instance [PR9, PR10]", () => {
    const held = (kind: ProbeKind, outcomes: string) => after(kind, outcomes).isOnHold;
    expect(held("liveness", "---")).toBe(true);
    expect(held("liveness", "+++")).toBe(false);
    expect(held("startup", "+")).toBe(true);
    expect(held("startup", "---")).toBe(true);
    expect(held("readiness", "---")).toBe(false);
    const next = seeInstance(after("liveness", "---"), "liveness", { instance: instance("b") });
    expect(next).toMatchObject({ isOnHold: false, result: true, run: 0 });
  });

  test("a container that does not run has failed every probe [PR12]", () => {
    for (const kind of KINDS) {
      const state = seeInstance(after(kind, "+"), kind, { instance: instance("a", false) });
      expect(state.result).toBe(false);
      expect(isProbed(state, kind, { instance: instance("a", false), isStarted: kind !== "startup" })).toBe(
        false,
      );
    }
  });

  test("what an earlier engine knew of the same instance goes on [PR20]", () => {
    const kept = (kind: ProbeKind, value: boolean) =>
      seeInstance(freshState(kind), kind, { instance: instance("a"), kept: value });
    expect(kept("startup", true)).toMatchObject({ result: true, isOnHold: true });
    expect(kept("startup", false)).toMatchObject({ result: undefined, isOnHold: false });
    expect(kept("readiness", true)).toMatchObject({ result: true, isOnHold: false });
    expect(kept("readiness", false)).toMatchObject({ result: false });
  });
});

describe("ticks", () => {
  test("readiness and liveness wait for the start, startup ends with it [PR5]", () => {
    const running = { instance: instance("a") };
    for (const kind of KINDS) {
      const probed = (isStarted: boolean) => isProbed(freshState(kind), kind, { ...running, isStarted });
      expect([probed(false), probed(true)]).toEqual(kind === "startup" ? [true, false] : [false, true]);
    }
    expect(isProbed(freshState("liveness"), "liveness", { instance: undefined, isStarted: true })).toBe(
      false,
    );
  });

  test("the initial delay counts whole seconds of this very instance [PR4]", () => {
    const probe = { initialDelaySeconds: 2 };
    const at = (now: number) => isDelayOver(probe, instance("a", true, 10_500), now);
    expect([at(10_500), at(12_499), at(12_500)]).toEqual([false, false, true]);
    expect(isDelayOver({}, instance("a", true, 10_500), 10_500)).toBe(true);
  });

  test("come at whole periods since the worker began [PR4]", () => {
    const ticker = { origin: 100, periodMs: 1000 };
    expect([0, 100, 101, 1100, 1101].map((from) => tickAtOrAfter(ticker, from))).toEqual([
      100, 100, 1100, 1100, 2100,
    ]);
    expect([0, 100, 101, 1099, 1100].map((from) => tickAfter(ticker, from))).toEqual([
      100, 1100, 1100, 1100, 2100,
    ]);
  });
});

describe("in any history", () => {
  const outcomes = fc.array(fc.constantFrom("+", "-", "?"), { maxLength: 40 }).map((list) => list.join(""));
  const probes = fc.record({
    failureThreshold: fc.integer({ min: 1, max: 5 }),
    successThreshold: fc.integer({ min: 1, max: 5 }),
  });

  test("readiness is the last outcome that came often enough in a row [PR8]", () => {
    fc.assert(
      fc.property(outcomes, probes, (history, probe) => {
        const known = history.replaceAll("?", "");
        let expected = false;
        for (let end = 1; end <= known.length; end++) {
          const { failureThreshold, successThreshold } = probe;
          if (known.slice(0, end).endsWith("+".repeat(successThreshold))) expected = true;
          else if (known.slice(0, end).endsWith("-".repeat(failureThreshold))) expected = false;
        }
        expect(after("readiness", history, probe).result).toBe(expected);
      }),
    );
  });

  test("nothing of one instance is left in the next [PR9]", () => {
    fc.assert(
      fc.property(outcomes, probes, fc.constantFrom(...KINDS), (history, probe, kind) => {
        const next = seeInstance(after(kind, history, probe), kind, { instance: instance("b") });
        expect(next).toEqual({ ...freshState(kind), instanceId: "b" });
      }),
    );
  });
});
