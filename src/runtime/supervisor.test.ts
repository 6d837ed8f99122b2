import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Log } from "../kernel/host.ts";
import { Problem } from "../kernel/problem.ts";
import { FakeHost } from "../testing/fake-host.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { RecordingMeter } from "../testing/recording-meter.ts";
import { type ScriptedRun, scriptedSidecar, settle, wellBehaved } from "../testing/scripted-sidecar.ts";
import { Supervisor, type SupervisorOptions } from "./supervisor.ts";

const REFUSED = new Problem({ code: "E_REFUSED", message: "Cannot do it: refused", fix: "Allow it" });

function setUp(play?: (run: ScriptedRun) => void, more: Partial<SupervisorOptions> = {}) {
  const clock = new ManualClock();
  const scripted = scriptedSidecar(play);
  const host = new FakeHost({ clock });
  let [restarts, runsEnded] = [0, 0];
  const supervisor = new Supervisor({
    name: "one",
    sidecar: scripted.sidecar,
    config: {},
    gate: "none",
    metrics: scripted.sidecar.metrics(new RecordingMeter()),
    once: false,
    clock,
    random: () => 0.5,
    log: host.log,
    host: async (report) => Object.assign(Object.create(host) as FakeHost, { report }),
    inScope: (work) => work(),
    runEnded: () => (runsEnded += 1),
    restarted: () => (restarts += 1),
    ...more,
  });
  const seen = () => {
    const { state, health, cause, restarts } = supervisor.status();
    return { state, health, cause: cause?.code, restarts };
  };
  return {
    clock,
    scripted,
    supervisor,
    host,
    seen,
    counts: () => ({ restarts, runsEnded }),
    [Symbol.dispose]: () => host[Symbol.dispose](),
  };
}

test("a sidecar is starting, then running and ready, then finishing, then ended, and leaves no timer", async () => {
  using setup = setUp();
  const { supervisor, scripted, seen, clock } = setup;
  const ended = supervisor.start();
  await settle();
  expect(seen()).toEqual({ state: "starting", health: "degraded", cause: "E_STARTING", restarts: 0 });
  scripted.run.started();
  await settle();
  expect(seen()).toEqual({ state: "running", health: "ready", cause: undefined, restarts: 0 });
  const stopped = supervisor.stop("reload");
  await settle();
  expect([seen().state, scripted.run.context.signal.reason]).toEqual(["finishing", "reload"]);
  scripted.run.finish();
  await Promise.all([ended, stopped]);
  expect([seen().state, clock.pending, setup.counts().runsEnded]).toEqual(["ended", 0, 1]);
});

test("a start that fails is tried again with back-off, its cause shown all the while", async () => {
  using setup = setUp((run) => run.failStart(REFUSED));
  const { supervisor, scripted, seen, clock } = setup;
  void supervisor.start();
  await settle();
  expect(seen()).toEqual({ state: "backing-off", health: "failing", cause: "E_REFUSED", restarts: 0 });
  const waits = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
  for (const [index, ms] of waits.entries()) {
    clock.advance(ms - 1);
    await settle();
    expect(scripted.runs).toHaveLength(index + 1);
    clock.advance(1);
    await settle();
    expect(scripted.runs).toHaveLength(index + 2);
  }
  expect(supervisor.status()).toMatchObject({
    restarts: waits.length,
    cause: { code: "E_REFUSED", message: "Cannot do it: refused", fix: "Allow it" },
  });
  await supervisor.stop("shutdown");
  expect([seen().state, clock.pending]).toEqual(["ended", 0]);
});

test("after a good run the next failure waits as little as the first one", async () => {
  using setup = setUp();
  const { supervisor, scripted, clock } = setup;
  void supervisor.start();
  for (const ms of [500, 1_000]) {
    await settle();
    scripted.run.failStart("no");
    await settle();
    clock.advance(ms);
  }
  await settle();
  scripted.run.started();
  await settle();
  clock.advance(60_000);
  scripted.run.breakDown(new Error("late"));
  await settle();
  expect(scripted.runs).toHaveLength(3);
  clock.advance(500);
  await settle();
  expect(scripted.runs).toHaveLength(4);
  scripted.run.started();
  await settle();
  expect(setup.seen()).toEqual({ state: "running", health: "ready", cause: undefined, restarts: 3 });
});

for (const [how, breakIt, code] of [
  ["breaks", (run: ScriptedRun) => run.breakDown(new Error("boom")), "E_UNEXPECTED"],
  ["ends by itself", (run: ScriptedRun) => run.finish(), "E_SIDECAR_ENDED"],
] as const) {
  test(`a sidecar that ${how} is started anew, and what is left of it is told to end`, async () => {
    using setup = setUp((run) => run.started());
    const { supervisor, scripted, seen, clock } = setup;
    void supervisor.start();
    await settle();
    const first = scripted.run;
    breakIt(first);
    await settle();
    expect(seen()).toEqual({ state: "backing-off", health: "failing", cause: code, restarts: 0 });
    expect(first.context.signal.aborted).toBe(true);
    clock.advance(500);
    await settle();
    expect(seen()).toEqual({ state: "running", health: "ready", cause: undefined, restarts: 1 });
    first.context.host.report({ state: "failing", because: "a voice from the past" });
    expect(seen().health).toBe("ready");
  });
}

test("a synchronous throw in start() is a failed start", async () => {
  using setup = setUp(() => {
    throw new TypeError("at once");
  });
  void setup.supervisor.start();
  await settle();
  expect(setup.seen()).toMatchObject({ state: "backing-off", health: "failing", cause: "E_UNEXPECTED" });
});

test("a host that cannot be made is a failed start", async () => {
  using setup = setUp(undefined, { host: () => Promise.reject(REFUSED) });
  void setup.supervisor.start();
  await settle();
  expect(setup.seen()).toMatchObject({ state: "backing-off", cause: "E_REFUSED" });
});

test("stop() calls a start off, and that is no failure whatever it rejects with", async () => {
  for (const because of [new DOMException("aborted", "AbortError"), "shutdown", REFUSED]) {
    using setup = setUp((run) => {
      run.context.signal.addEventListener("abort", () => run.failStart(because));
    });
    const { supervisor, clock } = setup;
    const ended = supervisor.start();
    await settle();
    await supervisor.stop("shutdown");
    await ended;
    expect([supervisor.failure, supervisor.state, supervisor.health.state, clock.pending]).toEqual([
      undefined,
      "ended",
      "degraded",
      0,
    ]);
  }
});

test("a start that hangs is left behind half a second after the deadline, and its late success harms nobody", async () => {
  using setup = setUp();
  const { supervisor, scripted, clock, host } = setup;
  const ended = supervisor.start();
  await settle();
  void supervisor.stop("shutdown");
  supervisor.endTime();
  await settle();
  expect([supervisor.state, scripted.run.context.deadline.aborted]).toEqual(["finishing", true]);
  clock.advance(500);
  await ended;
  expect(supervisor.status()).toMatchObject({ state: "ended", cause: { code: "E_SIDECAR_NOT_ENDED" } });
  expect(host.logged.map(({ level }) => level)).toContain("error");
  scripted.run.started();
  scripted.run.breakDown(new Error("too late"));
  await settle();
  expect(clock.pending).toBe(0);
});

test("a sidecar that ignores stop and deadline is left behind too", async () => {
  using setup = setUp((run) => run.started());
  const { supervisor, clock } = setup;
  const ended = supervisor.start();
  await settle();
  supervisor.endTime();
  clock.advance(500);
  await ended;
  expect(supervisor.status()).toMatchObject({ state: "ended", cause: { code: "E_SIDECAR_NOT_ENDED" } });
});

test("breakOff() starts the sidecar anew once the old run has ended, or has been left behind", async () => {
  using setup = setUp((run) => run.started());
  const { supervisor, scripted, clock, seen } = setup;
  void supervisor.start();
  await settle();
  supervisor.breakOff(new Error("thrown in a callback"));
  await settle();
  expect(seen()).toMatchObject({ health: "failing", cause: "E_UNEXPECTED" });
  expect(scripted.run.context.signal.aborted).toBe(true);
  scripted.run.finish();
  await settle();
  clock.advance(500);
  await settle();
  expect([scripted.runs.length, seen().state]).toEqual([2, "running"]);
  supervisor.breakOff(new Error("again"));
  await settle();
  clock.advance(2_000);
  await settle();
  expect(scripted.run.context.deadline.aborted).toBe(true);
  clock.advance(500);
  await settle();
  clock.advance(1_000);
  await settle();
  expect([scripted.runs.length, seen().state]).toEqual([3, "running"]);
});

test("what is reported during the start stands when it has started", async () => {
  using setup = setUp();
  const { supervisor, scripted, seen } = setup;
  void supervisor.start();
  await settle();
  scripted.run.context.host.report({ state: "failing", because: REFUSED });
  scripted.run.started();
  await settle();
  expect([seen(), supervisor.hasSucceeded]).toEqual([
    { state: "running", health: "failing", cause: "E_REFUSED", restarts: 0 },
    false,
  ]);
  scripted.run.context.host.report({ state: "degraded", because: "slow" });
  expect([seen().health, supervisor.hasSucceeded]).toEqual(["degraded", true]);
});

test("once: a sidecar that is done is not started again, and one that fails is not either", async () => {
  for (const failure of [undefined, REFUSED]) {
    using setup = setUp(
      (run) => {
        if (failure !== undefined) return run.failStart(failure);
        run.started();
        return run.finish();
      },
      { once: true },
    );
    await setup.supervisor.start();
    expect([setup.scripted.runs.length, setup.supervisor.failure, setup.clock.pending]).toEqual([
      1,
      failure,
      0,
    ]);
    expect(setup.scripted.run.context.once).toBe(true);
  }
});

test("undelivered() and status() of a sidecar may throw, and the last known number stays", async () => {
  using setup = setUp();
  const { supervisor, scripted } = setup;
  void supervisor.start();
  await settle();
  let isBroken = false;
  const undelivered = () => {
    if (isBroken) throw new Error("closed");
    return { records: 3, bytes: 30, keptBytes: 0 };
  };
  const status = () => {
    throw new Error("none");
  };
  scripted.run.started({ undelivered, status });
  await settle();
  expect(supervisor.undelivered()).toEqual({ records: 3, bytes: 30, keptBytes: 0 });
  isBroken = true;
  expect(supervisor.status()).toMatchObject({ undelivered: { records: 3, bytes: 30, keptBytes: 0 } });
  expect(setup.host.logged.map(({ level }: { level: keyof Log }) => level)).toContain("error");
});

test("a supervisor that is stopped before its start never starts", async () => {
  using setup = setUp(wellBehaved);
  await setup.supervisor.stop("shutdown");
  await setup.supervisor.start();
  expect([setup.scripted.runs.length, setup.supervisor.state]).toEqual([0, "ended"]);
});

type Step =
  | "started"
  | "failStart"
  | "finish"
  | "breakDown"
  | "breakOff"
  | "wait"
  | "reportFailing"
  | "reportReady";
const steps = fc.constantFrom<Step>(
  "started",
  "failStart",
  "finish",
  "breakDown",
  "breakOff",
  "wait",
  "reportFailing",
  "reportReady",
);

test("whatever happens in whatever order, one run lives at a time, and stop and deadline end it without a timer left", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 12 }), fc.boolean(), async (script, isObedient) => {
      using setup = setUp((run) => {
        if (isObedient) run.context.signal.addEventListener("abort", () => run.finish());
      });
      const { supervisor, scripted, clock } = setup;
      const ended = supervisor.start();
      await settle();
      for (const step of script) {
        if (step === "wait") clock.advance(3_000);
        else if (step === "breakOff") supervisor.breakOff(new Error("off"));
        else if (step === "reportFailing")
          scripted.run.context.host.report({ state: "failing", because: "so" });
        else if (step === "reportReady") scripted.run.context.host.report({ state: "ready" });
        else if (step === "failStart" || step === "breakDown") scripted.run[step](new Error(step));
        else scripted.run[step]();
        await settle();
        const { state, health } = supervisor.status();
        const unended = scripted.runs.filter(({ context }) => !context.signal.aborted);
        expect(unended.length).toBeLessThanOrEqual(1);
        if (state === "backing-off") expect([health, unended.length]).toEqual(["failing", 0]);
        if (state === "running" || state === "starting") expect(unended.length).toBe(1);
      }
      void supervisor.stop("shutdown");
      supervisor.endTime();
      clock.advance(500);
      await ended;
      await settle();
      expect([supervisor.state, clock.pending]).toEqual(["ended", 0]);
    }),
    { numRuns: 60 },
  );
});
