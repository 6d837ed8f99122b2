import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ManualClock } from "../testing/manual-clock.ts";
import { StopPhases } from "./stop-phases.ts";

function setUp(timeoutMs = 25_000) {
  const clock = new ManualClock();
  const events: (readonly [string, number])[] = [];
  const note = (what: string) => () => void events.push([what, clock.monotonic()]);
  const phases = new StopPhases(clock, timeoutMs, {
    hurried: note("hurried"),
    stopped: note("stopped"),
    timeEnded: note("time ended"),
  });
  return { clock, events, phases };
}

test("preStop hurries once, SIGTERM finishes, the timeout ends it", () => {
  const { clock, events, phases } = setUp();
  phases.prestop(undefined);
  phases.prestop(undefined);
  clock.advance(3_000);
  expect(phases.phase).toBe("hurrying");
  phases.stop();
  clock.advance(60_000);
  expect([phases.phase, events]).toEqual([
    "finishing",
    [
      ["hurried", 0],
      ["stopped", 3_000],
      ["time ended", 28_000],
    ],
  ]);
  phases.end();
  expect([phases.phase, clock.pending]).toEqual(["ended", 0]);
});

test("the second stop ends it at once, and a third one says nothing more", () => {
  const { clock, events, phases } = setUp();
  phases.stop();
  clock.advance(10);
  phases.stop();
  phases.stop();
  clock.advance(60_000);
  expect(events).toEqual([
    ["stopped", 0],
    ["time ended", 10],
  ]);
});

test.each([
  ["longer than the timeout", 60_000, 0, 25_000],
  ["shorter than the timeout", 10_000, 0, 9_300],
  ["partly over", 30_000, 20_000, 29_300],
  ["nearly over: 2 s are always left", 30_000, 29_900, 31_200],
  ["over: 2 s are always left", 30_000, 45_000, 46_300],
])("a grace period that is %s", (_, graceMs, stopAt, endsAt) => {
  const { clock, events, phases } = setUp();
  phases.prestop(graceMs);
  clock.advance(stopAt);
  phases.stop();
  clock.advance(100_000);
  expect(events.at(-1)).toEqual(["time ended", endsAt]);
});

test("the earliest end that was named counts, and one that comes after SIGTERM changes nothing", () => {
  const { clock, events, phases } = setUp();
  phases.prestop(20_000);
  phases.prestop(10_000);
  phases.prestop(undefined);
  phases.prestop(15_000);
  phases.stop();
  phases.prestop(1);
  clock.advance(100_000);
  expect(events).toEqual([
    ["hurried", 0],
    ["stopped", 0],
    ["time ended", 9_300],
  ]);
});

test("whatever comes in whatever order, each thing happens once, and never in the wrong order", () => {
  const step = fc.oneof(
    fc.record({ what: fc.constantFrom("prestop", "wait"), ms: fc.option(fc.nat(40_000)) }),
    fc.record({ what: fc.constant("stop"), ms: fc.constant(null) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const { clock, events, phases } = setUp();
      for (const { what, ms } of steps) {
        if (what === "stop") phases.stop();
        else if (what === "wait") clock.advance(ms ?? 1);
        else phases.prestop(ms ?? undefined);
      }
      const names = events.map(([name]) => name);
      const order = ["hurried", "stopped", "time ended"];
      expect(names).toEqual(order.filter((name) => names.includes(name)));
      if (names.includes("time ended")) expect(names).toContain("stopped");
      phases.end();
      expect(clock.pending).toBe(0);
    }),
  );
});
