import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import type { SidecarEntry, SidecarFile } from "../config/sidecar-file.ts";
import type { RuntimeSettings } from "../config/sidecar-schema.ts";
import type { Gate } from "../kernel/health.ts";
import { Problem } from "../kernel/problem.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import {
  entryOf,
  type ScriptedRun,
  scriptedSidecar,
  settle,
  wellBehaved,
} from "../testing/scripted-sidecar.ts";
import { runSidecars, type RunSidecarsOptions } from "./run-sidecars.ts";
import type { RuntimeView } from "./view.ts";

const root = mkdtempSync(join(tmpdir(), "pillion-process-"));
afterAll(() => rmSync(root, { recursive: true }));

const POD = { name: "web-1", namespace: "shop", uid: undefined, node: undefined, ip: undefined, labels: {} };
const GARBAGE = new Problem({ code: "E_CONFIG_SYNTAX", message: "Cannot read it: no YAML", fix: "Mend it" });

interface SetUp {
  readonly names?: readonly string[];
  readonly gates?: Gate;
  readonly options?: Partial<RunSidecarsOptions>;
}

function setUp(
  play: (run: ScriptedRun) => void,
  { names = ["a1"], gates = "none", options = {} }: SetUp = {},
) {
  const folder = mkdtempSync(join(root, "run-"));
  const [stdout, stderr] = ["stdout", "stderr"].map((name) => openSync(join(folder, name), "w"));
  writeFileSync(join(folder, "termination"), "");
  const clock = new ManualClock();
  const { sidecar, runs } = scriptedSidecar(play);
  const settings: RuntimeSettings = {
    state: join(folder, "state"),
    admin: { port: 0, socket: join(folder, "socket") },
    log: { level: "info" },
    shutdown: { timeout: 10_000 },
  };
  const fileOf = (texts: readonly string[], more: Partial<RuntimeSettings> = {}): SidecarFile => ({
    settings: { ...settings, ...more },
    sidecars: texts.map((text): SidecarEntry =>
      entryOf(text.slice(0, 1), sidecar, { fingerprint: text, gates }),
    ),
  });
  const [stop, stopNow] = [new AbortController(), new AbortController()];
  const next: { file: SidecarFile | Problem } = { file: GARBAGE };
  const opened = Promise.withResolvers<RuntimeView>();
  const doors = { isOpen: false };
  let blame: (thrown: unknown) => void = () => undefined;
  const result = runSidecars({
    file: fileOf(names),
    read: async () => {
      if (next.file instanceof Problem) throw next.file;
      return next.file;
    },
    configPath: undefined,
    once: false,
    version: "1.2.3",
    clock,
    env: {},
    pod: POD,
    stop: stop.signal,
    stopNow: stopNow.signal,
    isTerminal: false,
    terminationLog: join(folder, "termination"),
    outputs: { stdout: stdout ?? 1, stderr: stderr ?? 2 },
    random: () => 0.5,
    open: async (view) => {
      opened.resolve(view);
      doors.isOpen = true;
      return { port: 1, stop: async () => void (doors.isOpen = false) };
    },
    watchUncaught: (listener) => {
      blame = listener;
      return () => (blame = () => undefined);
    },
    ...options,
  });
  void result
    .catch(() => undefined)
    .finally(() => [stdout, stderr].forEach((fd) => fd !== undefined && closeSync(fd)));
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  return {
    clock,
    runs,
    stop,
    stopNow,
    next,
    fileOf,
    doors,
    result,
    view: opened.promise,
    blame: (thrown: unknown) => blame(thrown),
    stdout: () => read("stdout"),
    termination: () => read("termination"),
    logged: () =>
      read("stderr")
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

test("the process runs until SIGTERM, lets every sidecar finish, exits 0, and leaves no timer", async () => {
  const { view, stop, result, runs, clock, doors, logged, termination } = setUp(wellBehaved, {
    names: ["a1", "b1"],
  });
  const status = (await view).status();
  expect([status.phase, status.version, status.sidecars.map(({ name }) => name)]).toEqual([
    "running",
    "1.2.3",
    ["a", "b"],
  ]);
  await settle();
  stop.abort();
  expect(await result).toEqual({ exitCode: 0, problems: [] });
  expect(
    runs.map(({ context }) => [context.signal.reason, context.deadline.aborted, context.hurry.aborted]),
  ).toEqual([
    ["shutdown", false, false],
    ["shutdown", false, false],
  ]);
  expect([doors.isOpen, clock.pending, termination(), (await view).status().phase]).toEqual([
    false,
    0,
    "",
    "ended",
  ]);
  expect(logged().at(-1)?.["message"]).toBe("Ended");
});

test("SIGTERM with a sidecar that hangs: the rest finishes, and the process ends half a second after its deadline", async () => {
  const { view, stop, result, clock, runs, termination } = setUp(
    (run) => {
      if (run.context.name !== "b") return wellBehaved(run);
      return run.started({ undelivered: () => ({ records: 5, bytes: 50, keptBytes: 20 }) });
    },
    { names: ["a1", "b1"] },
  );
  await view;
  await settle();
  stop.abort();
  await settle();
  expect(runs.map(({ isOver }) => isOver)).toEqual([true, false]);
  clock.advance(1_000);
  expect(JSON.parse(termination())).toEqual({ undelivered: { b: { records: 5, bytes: 50, keptBytes: 20 } } });
  clock.advance(9_000);
  expect(runs.map(({ context }) => context.deadline.aborted)).toEqual([true, true]);
  clock.advance(500);
  expect((await result).exitCode).toBe(0);
  expect(JSON.parse(termination())).toMatchObject({
    undelivered: { b: { records: 5 } },
    failing: { b: expect.stringContaining("E_SIDECAR_NOT_ENDED") },
  });
  expect(clock.pending).toBe(0);
});

test("a start that hangs does not keep the process from ending, and the second SIGTERM ends it at once", async () => {
  const { view, stop, stopNow, result, clock, runs } = setUp(() => undefined);
  await view;
  await settle();
  stop.abort();
  await settle();
  expect(runs[0]?.context.signal.aborted).toBe(true);
  stopNow.abort();
  expect(runs[0]?.context.deadline.aborted).toBe(true);
  clock.advance(500);
  expect((await result).exitCode).toBe(0);
});

test("SIGTERM that came before the process was ready ends it", async () => {
  const stop = AbortSignal.abort();
  const { result, runs } = setUp(wellBehaved, { options: { stop } });
  expect(await result).toEqual({ exitCode: 0, problems: [] });
  expect(runs).toEqual([]);
});

test("preStop hurries everyone; quit ends as SIGTERM does, and again ends at once", async () => {
  const { view, result, runs, clock } = setUp((run) => run.started());
  const door = await view;
  await settle();
  door.prestop({ graceMs: 30_000 });
  door.prestop();
  expect([runs[0]?.context.hurry.aborted, door.status().phase]).toEqual([true, "hurrying"]);
  door.quit();
  expect([runs[0]?.context.signal.aborted, door.status().phase]).toEqual([true, "finishing"]);
  door.quit();
  expect(runs[0]?.context.deadline.aborted).toBe(true);
  runs[0]?.finish();
  await result;
  expect([clock.pending, await door.reload()]).toEqual([0, { outcome: "too-late" }]);
});

test("doors that cannot be opened end the process before anything starts", async () => {
  const taken = new Problem({ code: "E_PORT_TAKEN", message: "Cannot listen: taken", fix: "Choose another" });
  const { result, runs, clock } = setUp(wellBehaved, { options: { open: () => Promise.reject(taken) } });
  expect(await result.catch((error: unknown) => error)).toBe(taken);
  expect([runs.length, clock.pending]).toEqual([0, 0]);
});

test("a bad configuration keeps the last good one, and says so in status, metric and log until it is mended", async () => {
  const { view, stop, result, runs, next, fileOf, logged } = setUp(wellBehaved, { names: ["a1", "b1"] });
  const door = await view;
  await settle();
  expect(await door.reload()).toEqual({ outcome: "rejected", problem: GARBAGE });
  expect(door.status().config).toMatchObject({ rejected: { code: "E_CONFIG_SYNTAX", fix: "Mend it" } });
  expect(door.metricsText()).toContain('pillion_config_reloads_total{outcome="rejected"} 1');
  expect(runs.every(({ isOver }) => !isOver)).toBe(true);
  next.file = fileOf(["a1", "b1"]);
  expect(await door.reload()).toEqual({ outcome: "unchanged", needRestart: [] });
  expect(door.status().config.rejected).toBeUndefined();
  next.file = fileOf(["a2", "c1"], { state: "/elsewhere", log: { level: "error" } });
  const [one, two] = await Promise.all([door.reload(), door.reload()]);
  expect(one).toEqual({
    outcome: "applied",
    started: ["c"],
    restarted: ["a"],
    stopped: ["b"],
    needRestart: ["state"],
  });
  expect(two).toEqual({ outcome: "unchanged", needRestart: ["state"] });
  expect(door.status().config.needRestart).toEqual(["state"]);
  await settle();
  expect(door.status().sidecars.map(({ name, state }) => [name, state])).toEqual([
    ["a", "running"],
    ["c", "running"],
  ]);
  expect(door.metricsText()).toContain('pillion_scripted_starts_total{sidecar="a"} 2');
  expect(door.metricsText()).not.toContain('sidecar="b",state=');
  stop.abort();
  await result;
  expect(logged().map(({ message }) => message)).toContain(
    "The configuration file cannot be used; the last good one stays in use",
  );
  expect(logged().at(-1)?.["message"]).not.toBe("Ended"); // The new level has cut it off.
});

test.each([
  ["start", [false, true], [true, true]],
  ["traffic", [true, true], [false, true]],
  ["none", [true, true], [true, true]],
] as const)("gates: %s", async (gates, startedAfter, readyAfter) => {
  const { view, stop, result, runs, clock } = setUp(
    (run) => (runs.length > 1 ? wellBehaved(run) : run.failStart("no")),
    {
      gates,
    },
  );
  const door = await view;
  const answers = () => [door.isStarted(), door.isReady()].map(({ isOk }) => isOk);
  await settle();
  expect(answers()).toEqual([startedAfter[0], readyAfter[0]]);
  clock.advance(500);
  await settle();
  expect([runs.length, answers()]).toEqual([2, [startedAfter[1], readyAfter[1]]]);
  runs[1]?.context.host.report({ state: "failing", because: "later" });
  expect(answers()).toEqual([true, gates !== "traffic"]);
  if (gates === "traffic") expect(door.isReady().because).toEqual(["a: later"]);
  stop.abort();
  await result;
});

test("a sidecar that gates nothing holds up the pod's start for two seconds at most, and only until it was tried", async () => {
  const { view, stop, result, clock } = setUp((run) => {
    run.context.signal.addEventListener("abort", () => run.failStart("called off"));
  });
  const door = await view;
  await settle();
  expect(door.isStarted().isOk).toBe(false);
  clock.advance(2_000);
  expect(door.isStarted()).toEqual({ isOk: true, because: [] });
  stop.abort();
  await result;
});

test("once: the exit code is 0 when all are done, and 1 with the reasons when one is not", async () => {
  const done = setUp(
    (run) => {
      run.started();
      run.finish();
    },
    { names: ["a1", "b1"], options: { once: true } },
  );
  expect(await done.result).toEqual({ exitCode: 0, problems: [] });
  const failed = setUp(
    (run) => {
      if (run.context.name === "a") return run.failStart(GARBAGE);
      run.started();
      return run.finish();
    },
    { names: ["a1", "b1"], options: { once: true } },
  );
  expect(await failed.result).toEqual({ exitCode: 1, problems: [GARBAGE] });
  expect([failed.runs.length, failed.clock.pending]).toEqual([2, 0]);
});

test("an error that nobody caught is logged, counted, and ends nothing", async () => {
  const { view, stop, result, blame, logged, runs } = setUp(wellBehaved, { names: ["a1", "b1"] });
  const door = await view;
  await settle();
  blame(new Error("nobody waited"));
  await settle();
  expect(runs.every(({ isOver }) => !isOver)).toBe(true);
  expect(door.metricsText()).toContain('pillion_uncaught_errors_total{sidecar=""} 1');
  stop.abort();
  await result;
  expect(logged().map(({ message }) => message)).toContain("An error was not caught");
});

test("stdout has what sidecars wrote, whole and in order, and nothing of the log", async () => {
  const { view, stop, result, stdout } = setUp((run) => {
    const { host } = run.context;
    const lines = Array.from({ length: 50 }, (_, line) => `${run.context.name}${line}\n`);
    void Promise.all(lines.map((line) => host.writeStdout(new TextEncoder().encode(line)))).then(() =>
      wellBehaved(run),
    );
  });
  await view;
  await settle();
  stop.abort();
  await result;
  expect(stdout()).toBe(Array.from({ length: 50 }, (_, line) => `a${line}\n`).join(""));
});

const PROGRAM = `
  import { z } from "zod";
  import { defineSidecar } from "${join(import.meta.dir, "../kernel/sidecar.ts")}";
  import { systemClock } from "${join(import.meta.dir, "../kernel/clock.ts")}";
  import { podIdentity } from "${join(import.meta.dir, "pod-identity.ts")}";
  import { runSidecars } from "${join(import.meta.dir, "run-sidecars.ts")}";
  const [folder] = process.argv.slice(1);
  const sidecar = defineSidecar({
    kind: "deaf", summary: "Never ends.", config: z.strictObject({}), gates: "none", metrics: () => undefined,
    async start(_, { name, host }) {
      if (name === "noisy") setTimeout(() => { throw new Error("in a callback"); }, 1);
      const line = new Uint8Array(1 << 20).fill(10);
      if (name === "stuck") await host.writeStdout(line);
      console.error("started " + name);
      const undelivered = () => ({ records: 1, bytes: 2, keptBytes: 0 });
      return { done: new Promise(() => undefined), undelivered };
    },
  });
  const [stop, stopNow] = [new AbortController(), new AbortController()];
  process.on("SIGTERM", () => (stop.signal.aborted ? stopNow : stop).abort());
  const entry = (name) => ({ name, sidecar, config: {}, gates: "none", container: "shared", fingerprint: name });
  const settings = { state: folder + "/state", admin: { port: 0, socket: "" }, log: { level: "info" }, shutdown: { timeout: 60_000 } };
  const { exitCode } = await runSidecars({
    file: { settings, sidecars: ["deaf", "noisy", "stuck"].map(entry) },
    read: () => Promise.reject(new Error("no")), configPath: undefined, once: false, version: "1", clock: systemClock,
    env: process.env, pod: podIdentity({}), stop: stop.signal, stopNow: stopNow.signal, isTerminal: false,
    terminationLog: folder + "/termination",
    open: async () => ({ port: 1, stop: async () => undefined }),
    watchUncaught(listener) {
      process.on("uncaughtException", listener).on("unhandledRejection", listener);
      return () => undefined;
    },
  });
  process.exit(exitCode);
`;

/** A real process whose standard output nobody reads, one sidecar of which throws, and none of which ever ends. */
async function startDeaf() {
  const folder = mkdtempSync(join(root, "deaf-"));
  writeFileSync(join(folder, "termination"), "");
  const child = Bun.spawn([process.execPath, "-e", PROGRAM, folder], { stdout: "pipe", stderr: "pipe" });
  const reader = child.stderr.getReader();
  let log = "";
  const readUntil = async (words: string): Promise<void> => {
    while (!log.includes(words)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`The process ended before it said ${JSON.stringify(words)}: ${log}`);
      log += new TextDecoder().decode(value);
    }
  };
  await readUntil('"message":"An error was not caught","sidecar":"noisy"');
  return { child, readUntil, message: () => readFileSync(join(folder, "termination"), "utf8") };
}

test("two seconds after SIGTERM the termination message of a real process is true, even if it is killed then", async () => {
  const { child, message } = await startDeaf();
  child.kill("SIGTERM");
  const since = performance.now();
  while (message() === "" && performance.now() - since < 2_000) await Bun.sleep(20);
  child.kill("SIGKILL");
  await child.exited;
  expect(JSON.parse(message())).toMatchObject({
    undelivered: { deaf: { records: 1, bytes: 2, keptBytes: 0 } },
  });
});

test("a real process with a reader that never reads, a sidecar that throws and none that ends: two SIGTERM end it, exit 0", async () => {
  const { child, readUntil } = await startDeaf();
  child.kill("SIGTERM");
  await readUntil('"Finishing"');
  const since = performance.now();
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(performance.now() - since).toBeLessThan(2_000);
});
