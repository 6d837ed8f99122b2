/** What every kind of sidecar promises (`src/kernel/sidecar.ts`), as checks that say in sentences what a kind does not keep. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../kernel/clock.ts";
import { messageOf } from "../kernel/problem.ts";
import type { Running, Sidecar } from "../kernel/sidecar.ts";
import { FakeHost, type FakeHostOptions } from "./fake-host.ts";
import { openFiles } from "./open-files.ts";
import { RecordingMeter } from "./recording-meter.ts";
import { fieldsOf, inputSchema } from "./schema-fields.ts";
import { handheldContext } from "./sidecar-context.ts";
import { TimerWatch } from "./timer-watch.ts";

/** What a kind's `contract.test-support.ts` exports as `fixture`. */
export interface ContractFixture {
  /**
   * Makes the least that the kind needs to run, below `folder`, which is empty and removed afterwards. Called for each run.
   * The configuration is what a user writes: before defaults, without `kind`.
   */
  prepare(folder: string): Promise<PreparedSidecar> | PreparedSidecar;
}

export interface PreparedSidecar {
  readonly config: Readonly<Record<string, unknown>>;
  /** For example a `fetch` that answers, or a pod's identity. The clock is the machine's own. */
  readonly host?: Omit<FakeHostOptions, "clock" | "stateFolder">;
  /** Ends what `prepare` has started, such as a server. */
  dispose?(): Promise<void> | void;
}

/** How soon a start that is not wanted any more gives up, and a stop without work is through. Far above what it takes. */
const PROMPT_MS = 2_000;
/** After `deadline`: 250 ms by the contract, and as much again for a busy machine. */
const DEADLINE_MS = 500;
/** Turns of the event loop after which a start is aborted. */
const TURNS = [0, 1, 2, 3, 5, 8, 13, 21, 34];

const RESERVED = ["kind", "gates", "container"];
const METRIC_NAME = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)+$/;
const LABEL_NAME = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/;
const SENTENCE = /^[A-Z`'"\d].*[.)]$/s;

/** What is wrong with its declaration: names, summary, schema. `folder` is the name of its folder. */
export function declarationFaults(sidecar: Sidecar, folder: string): readonly string[] {
  const { kind, summary, config } = sidecar;
  const { fields, open } = fieldsOf(inputSchema(config));
  return [
    ...(kind === folder ? [] : [`its kind is "${kind}", its folder "${folder}"`]),
    ...(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(kind) ? [] : [`its kind "${kind}" is not kebab-case`]),
    ...(SENTENCE.test(summary) ? [] : ["its summary is no sentence"]),
    ...RESERVED.filter((key) => key in config.shape).map((key) => `the key "${key}" belongs to the runtime`),
    ...open.map((path) => `"${path}" takes keys that nobody knows`),
    ...fields.flatMap(({ path, node: { description } }) => {
      if (description === undefined) return [`"${path}" has no description`];
      return SENTENCE.test(description)
        ? []
        : [`the description of "${path}" is no sentence: ${description}`];
    }),
  ];
}

/** What is wrong with its metrics. */
export function metricFaults({ kind, metrics }: Sidecar): readonly string[] {
  const meter = new RecordingMeter();
  metrics(meter);
  const prefix = `${kind.replaceAll("-", "_")}_`;
  return meter.declarations.flatMap(({ name, type, help, labels }) => [
    ...(METRIC_NAME.test(name) ? [] : [`the metric "${name}" is not lower case with single underscores`]),
    ...(name.startsWith(prefix) ? [] : [`the metric "${name}" does not begin with "${prefix}"`]),
    ...(name.endsWith("_total") === (type === "counter")
      ? []
      : [`the ${type} "${name}" and "_total" do not agree`]),
    ...(/(?:^|_)([a-z0-9]+)_\1(?:_|$)/.test(name) ? [`the metric "${name}" stutters`] : []),
    ...(SENTENCE.test(help) ? [] : [`the help of "${name}" is no sentence`]),
    ...labels
      .filter((label) => !LABEL_NAME.test(label) || label === "sidecar")
      .map((label) => `the label "${label}" of "${name}" may not be called so`),
  ]);
}

/** What is wrong with its life: starts that are aborted, stops, and what they leave behind. */
export async function lifeFaults(sidecar: Sidecar, fixture: ContractFixture): Promise<readonly string[]> {
  // The first run loads and opens what the process then keeps: modules, the pool of threads.
  const faults = await oneLife(sidecar, fixture, "stop");
  // What does not even start and stop would only be found out again and again, slowly.
  if (faults.some((fault) => /^(?:start\(\)|done) /.test(fault))) return faults;
  const before = openFiles();
  using timers = new TimerWatch();
  for (const turns of TURNS) faults.push(...(await abortedStart(sidecar, fixture, turns)));
  for (const end of ["stop", "stop", "reload", "deadline", "hurry"] as const)
    faults.push(...(await oneLife(sidecar, fixture, end)));
  await turn(3);
  faults.push(...timers.pending.map((timer) => `a timer is left: ${timer}`));
  faults.push(
    ...[...openFiles()].filter((file) => !before.has(file)).map((file) => `it leaves open: ${file}`),
  );
  return [...new Set(faults)];
}

interface Stage extends AsyncDisposable {
  readonly host: FakeHost;
  readonly config: unknown;
}

async function setStage({ config: schema }: Sidecar, fixture: ContractFixture): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "pillion-contract-"));
  const prepared = await fixture.prepare(folder);
  const host = new FakeHost({ ...prepared.host, clock: systemClock });
  return {
    host,
    config: schema.parse(prepared.config),
    async [Symbol.asyncDispose]() {
      host[Symbol.dispose]();
      await prepared.dispose?.();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function abortedStart(sidecar: Sidecar, fixture: ContractFixture, turns: number): Promise<string[]> {
  await using stage = await setStage(sidecar, fixture);
  const hand = handheldContext({ host: stage.host, metrics: sidecar.metrics(new RecordingMeter()) });
  // A start that is aborted before it is called is the hardest to remember.
  if (turns === 0) hand.stop();
  const started = sidecar.start(stage.config, hand.context);
  const settled = started.then(
    (running) => running,
    (thrown: unknown) => ({ thrown }),
  );
  await turn(turns);
  hand.stop();
  const outcome = await within(PROMPT_MS, settled);
  const when = `aborted after ${turns} turns of the event loop`;
  if (outcome === undefined) return [`start() neither resolves nor rejects when it is ${when}`];
  const watched = watchesLeft(stage.host, when);
  if ("thrown" in outcome) return watched;
  const faults = await ended(outcome, PROMPT_MS, `when start() is ${when}`);
  return [...faults, ...watchesLeft(stage.host, when)];
}

type End = "stop" | "reload" | "deadline" | "hurry";

/** Starts it, lets it work for a moment, and ends it. */
async function oneLife(sidecar: Sidecar, fixture: ContractFixture, end: End): Promise<string[]> {
  await using stage = await setStage(sidecar, fixture);
  const hand = handheldContext({ host: stage.host, metrics: sidecar.metrics(new RecordingMeter()) });
  let running: Running | undefined;
  try {
    running = await within(PROMPT_MS, sidecar.start(stage.config, hand.context));
  } catch (thrown) {
    return [`start() rejects with the fixture's configuration: ${messageOf(thrown)}`];
  }
  if (running === undefined) return ["start() does not resolve with the fixture's configuration"];
  await turn(10);
  const faults = plainFaults(running);
  if (end === "hurry") hand.hurry();
  await turn(2);
  if (end === "deadline") hand.endTime();
  else hand.stop(end === "reload" ? "reload" : "shutdown");
  faults.push(...(await ended(running, end === "deadline" ? DEADLINE_MS : PROMPT_MS, `after ${end}`)));
  return [...faults, ...watchesLeft(stage.host, `after ${end}`)];
}

async function ended({ done }: Running, ms: number, when: string): Promise<string[]> {
  try {
    const isDone = await within(
      ms,
      done.then(() => true),
    );
    return isDone === true ? [] : [`done does not resolve within ${ms} ms ${when}`];
  } catch (thrown) {
    return [`done rejects ${when}: ${messageOf(thrown)}`];
  }
}

/** What it tells must be cheap, plain data. */
function plainFaults(running: Running): string[] {
  const told = [running.status?.() ?? {}, running.undelivered?.() ?? {}];
  return Bun.deepEquals(JSON.parse(JSON.stringify(told)), told)
    ? []
    : ["status() or undelivered() is no plain JSON"];
}

function watchesLeft({ watches }: FakeHost, when: string): string[] {
  return watches === 0 ? [] : [`${watches} watches of folders are left ${when}`];
}

/** The timer is the machine's own, and cleared: it is not the sidecar's. */
async function within<Value>(ms: number, promise: Promise<Value>): Promise<Value | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const cancel = systemClock.schedule(ms, () => resolve(undefined));
  const hold = setInterval(() => undefined, 1_000);
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
    clearInterval(hold);
  }
}

async function turn(times: number): Promise<void> {
  for (let count = 0; count < times; count++) await new Promise((done) => void setImmediate(done));
}

/** Run by a process of its own: loads the module at `path`, and prints what that has changed. */
const LOADER = `
const { readdirSync, readlinkSync } = await import("node:fs");
const open = () => readdirSync("/proc/self/fd").flatMap((fd) => {
  try { return [readlinkSync("/proc/self/fd/" + fd)]; } catch { return []; }
}).filter((target) => !/eventpoll|eventfd|memfd|^\\/proc\\//.test(target));
const before = open().length;
const listeners = process.eventNames().length;
await import(process.argv[1]);
const faults = [];
if (open().length > before) faults.push("loading its module opens " + open().slice(before).join(", "));
if (process.eventNames().length > listeners) faults.push("loading its module listens to signals or events of the process");
if (readdirSync(".").length > 0) faults.push("loading its module writes files: " + readdirSync(".").join(", "));
process.stdout.write(JSON.stringify(faults));
`;
const LOAD_MS = 10_000;

/** What loading its module does that it should not: output, files, handles, timers that keep the process alive. */
export async function loadFaults(modulePath: string): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), "pillion-load-"));
  try {
    const child = Bun.spawn([process.execPath, "-e", LOADER, modulePath], {
      cwd: folder,
      env: { HOME: folder, TMPDIR: folder, BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: LOAD_MS,
    });
    const [out, errors, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (child.signalCode !== null) return [`loading its module keeps the process alive: ${out}`];
    if (code !== 0) return [`its module cannot be loaded: ${errors}`];
    if (errors !== "" || !out.startsWith("[")) return [`loading its module prints: ${out}${errors}`];
    return JSON.parse(out) as readonly string[];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
