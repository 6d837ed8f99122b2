import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { PodSpec } from "../../../generated/kubernetes.ts";
import { shortened, terminationStep, type StoppingContainer, type Termination } from "./termination.ts";

const SPEC: PodSpec = {
  initContainers: [
    { name: "init" },
    { name: "s1", restartPolicy: "Always" },
    { name: "s2", restartPolicy: "Always" },
  ],
  containers: [{ name: "a" }, { name: "b" }],
};

/** What a container does after its stop signal: milliseconds until it ends; absent = never by itself. */
type Habits = Readonly<Record<string, number | undefined>>;

/** Plays a whole termination: `TIME signal NAME`, `TIME kill NAME`, `TIME end NAME`, in order. */
function play(habits: Habits, graceSeconds: number, shorten?: { at: number; seconds: number }): string[] {
  const log: string[] = [];
  let termination: Termination = { begunAt: 0, graceMs: graceSeconds * 1000 };
  let containers: StoppingContainer[] = Object.keys(habits).map((name) => ({
    name,
    hasEnded: false,
    isHookRunning: false,
    isKilled: false,
  }));
  const change = (name: string, part: Partial<StoppingContainer>) => {
    containers = containers.map((one) => (one.name === name ? { ...one, ...part } : one));
  };
  const ends = new Map<string, number>();
  for (let now = 0, rounds = 0; rounds < 100; rounds++) {
    for (const [name, at] of ends) {
      if (at > now) continue;
      log.push(`${now} end ${name}`);
      change(name, { hasEnded: true });
      ends.delete(name);
    }
    if (shorten?.at === now) termination = shortened(termination, shorten.seconds, now);
    const step = terminationStep(SPEC, termination, { containers, now });
    for (const name of step.signal) {
      log.push(`${now} signal ${name}`);
      change(name, { signaledAt: now });
      const habit = habits[name];
      if (habit !== undefined) ends.set(name, now + habit);
    }
    for (const name of step.kill) {
      log.push(`${now} kill ${name}`);
      change(name, { isKilled: true });
      ends.set(name, now);
    }
    if (step.isDone) return log;
    const moments = [...ends.values(), ...(step.wakeInMs === undefined ? [] : [now + step.wakeInMs])];
    if (shorten !== undefined && shorten.at > now) moments.push(shorten.at);
    if (step.kill.length === 0) now = Math.min(...moments);
  }
  throw new Error(`does not end:\n${log.join("\n")}`);
}

describe("terminationStep()", () => {
  test("main containers at once, then sidecars from the last to the first [T4]", () => {
    expect(play({ s1: 5, s2: 5, a: 100, b: 50 }, 30)).toEqual([
      "0 signal a",
      "0 signal b",
      "50 end b",
      "100 end a",
      "100 signal s2",
      "105 end s2",
      "105 signal s1",
      "110 end s1",
    ]);
  });

  test("a plain init container is stopped at once [T4]", () => {
    expect(play({ init: 5, s1: 5 }, 30)).toEqual(["0 signal init", "0 signal s1", "5 end init", "5 end s1"]);
  });

  test("when the budget is over, every sidecar has two seconds [T5]", () => {
    expect(play({ s1: undefined, s2: undefined, a: undefined }, 10)).toEqual([
      "0 signal a",
      "10000 signal s1",
      "10000 signal s2",
      "10000 kill a",
      "10000 end a",
      "12000 kill s1",
      "12000 kill s2",
      "12000 end s1",
      "12000 end s2",
    ]);
  });

  test("a sidecar that does not run delays nobody [T3]", () => {
    expect(play({ s1: 0, a: 0 }, 30)).toEqual(["0 signal a", "0 end a", "0 signal s1", "0 end s1"]);
  });

  test("two seconds between the signal and SIGKILL, also for a grace period of one", () => {
    expect(play({ a: undefined }, 1)).toEqual(["0 signal a", "2000 kill a", "2000 end a"]);
  });

  test("a second deletion only shortens [O12]", () => {
    expect(play({ a: undefined }, 30, { at: 5000, seconds: 3 })).toEqual([
      "0 signal a",
      "8000 kill a",
      "8000 end a",
    ]);
    expect(play({ a: undefined }, 10, { at: 5000, seconds: 60 })).toEqual([
      "0 signal a",
      "10000 kill a",
      "10000 end a",
    ]);
  });
});

describe("terminationStep() with any habits", () => {
  const habit = fc.option(fc.integer({ min: 0, max: 60_000 }), { nil: undefined });
  const anyHabits = fc.record({ init: habit, s1: habit, s2: habit, a: habit, b: habit });
  const seconds = fc.integer({ min: 0, max: 60 });

  test("ends within the grace period and two seconds [T5]", () => {
    fc.assert(
      fc.property(anyHabits, seconds, (habits, grace) => {
        const last = Number(play(habits, grace).at(-1)?.split(" ")[0]);
        return last <= Math.max(1, grace) * 1000 + 2000;
      }),
    );
  });

  test("is never made longer by a second deletion, and signals everybody once", () => {
    fc.assert(
      fc.property(
        anyHabits,
        seconds,
        fc.integer({ min: 1, max: 60_000 }),
        seconds,
        (habits, grace, at, second) => {
          const plain = play(habits, grace);
          const shorter = play(habits, grace, { at, seconds: second });
          const endOf = (log: string[]) => Number(log.at(-1)?.split(" ")[0]);
          const signals = shorter.filter((line) => line.includes("signal"));
          return endOf(shorter) <= endOf(plain) && signals.length === Object.keys(habits).length;
        },
      ),
    );
  });

  test("gives everybody who goes on two seconds before SIGKILL [T5]", () => {
    fc.assert(
      fc.property(anyHabits, seconds, (habits, grace) => {
        const log = play(habits, grace).map((line) => line.split(" "));
        return log
          .filter(([, what]) => what === "kill")
          .every(([at, , name]) => {
            const signal = log.find(([, what, who]) => what === "signal" && who === name);
            return Number(at) - Number(signal?.[0]) >= 2000;
          });
      }),
    );
  });
});
