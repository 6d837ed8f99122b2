/** Plays the sidecars of one configuration in this process, from the first start to the last word. */
import type { SidecarFile } from "../config/sidecar-file.ts";
import type { RuntimeSettings } from "../config/sidecar-schema.ts";
import type { Clock } from "../kernel/clock.ts";
import type { PodIdentity } from "../kernel/host.ts";
import { Output } from "../lib/output.ts";
import { sleep } from "../lib/sleep.ts";
import { watchConfig } from "./config-watch.ts";
import { FolderWatches } from "./folder-watches.ts";
import { Logger } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { Runtime } from "./runtime.ts";
import { declareRuntimeMetrics } from "./runtime-metrics.ts";
import { SidecarSet } from "./sidecar-set.ts";
import { StopPhases } from "./stop-phases.ts";
import { TerminationMessage } from "./termination-message.ts";
import type { RuntimeView } from "./view.ts";

/** Where the kubelet reads a container's last words unless its spec says otherwise. */
const TERMINATION_LOG = "/dev/termination-log";
/** What slow readers of the outputs and of the doors may cost at the end. */
const LAST_OUTPUT_MS = 500;

/** Ways into the process: the admin port and the control socket. */
export interface Doors {
  /** Of the admin port, also where any free one was asked for. */
  readonly port: number;
  stop(): Promise<void>;
}

export interface RunSidecarsOptions {
  readonly file: SidecarFile;
  /** Reads the configuration anew, with the command line's own choices. */
  readonly read: () => Promise<SidecarFile>;
  /** The configuration file, which is then watched; undefined: nobody watches. */
  readonly configPath: string | undefined;
  /** Do what there is to do, then end. */
  readonly once: boolean;
  readonly version: string;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pod: PodIdentity;
  /** Aborts with the first SIGTERM. */
  readonly stop: AbortSignal;
  /** Aborts with the second one. */
  readonly stopNow: AbortSignal;
  /** Standard error is a terminal: the log is for people. */
  readonly isTerminal: boolean;
  /** Opens the doors before the first sidecar starts; what it rejects with ends the process. */
  readonly open: (view: RuntimeView, settings: RuntimeSettings) => Promise<Doors>;
  /** Calls back with every error that nobody caught or waited for, until the function it returns is called. */
  readonly watchUncaught: (listener: (thrown: unknown) => void) => () => void;
  /** @default {"/dev/termination-log"} */
  readonly terminationLog?: string;
  /** Descriptors of standard output and error. @default {{ stdout: 1, stderr: 2 }} */
  readonly outputs?: { readonly stdout: number; readonly stderr: number };
  /** From 0 to below 1. @default {Math.random} */
  readonly random?: () => number;
}

export interface RunResult {
  /** 0 also when something could not be delivered: that is told, and kept. 1 when `once` did not succeed. */
  readonly exitCode: 0 | 1;
  /** Of `once`: why sidecars failed. */
  readonly problems: readonly unknown[];
}

interface Parts {
  readonly logger: Logger;
  readonly watches: FolderWatches;
  readonly sidecars: SidecarSet;
  readonly phases: StopPhases;
  readonly runtime: Runtime;
  readonly message: TerminationMessage;
  /** Aborts when the process begins to end. */
  readonly ending: AbortSignal;
  /** Resolves when a stop that was asked for is through. */
  readonly stopped: Promise<void>;
}

/** Resolves when every sidecar has ended. Rejects only when it could not begin. */
export async function runSidecars(options: RunSidecarsOptions): Promise<RunResult> {
  // Timers of the clock do not keep a process alive.
  const hold = setInterval(() => undefined, 2 ** 30);
  const fds = options.outputs ?? { stdout: 1, stderr: 2 };
  const [stdout, stderr] = [new Output(fds.stdout), new Output(fds.stderr)];
  const parts = assemble(options, stdout, stderr);
  const unwatch = options.watchUncaught((thrown) => parts.sidecars.blame(thrown));
  try {
    return await play(options, parts);
  } finally {
    unwatch();
    const closed = Promise.all([parts.logger.close().then(() => stderr.close()), stdout.close()]);
    await atMost(LAST_OUTPUT_MS, options.clock, closed);
    clearInterval(hold);
  }
}

function assemble(options: RunSidecarsOptions, stdout: Output, stderr: Output): Parts {
  const { file, clock, version, once, random = Math.random, env, pod } = options;
  const { settings } = file;
  const logger = new Logger({
    clock,
    write: (text) => stderr.write(text),
    ...logSettings(options, settings),
  });
  const { log } = logger;
  const metrics = new Metrics((message, because) => log.error(message, { because }));
  let sidecars: SidecarSet | undefined;
  const watches = new FolderWatches(clock, (thrown) => sidecars?.blame(thrown));
  const healths = () => sidecars?.current.map(({ name, health }) => ({ name, health: health.state })) ?? [];
  const counters = declareRuntimeMetrics({ metrics, version, logger, watches, healths });
  const world = { clock, env, pod, stdout, watches };
  const set = new SidecarSet(
    { world, logger, metrics, counters, state: settings.state, once, random },
    file.sidecars,
  );
  sidecars = set;
  const message = new TerminationMessage(options.terminationLog ?? TERMINATION_LOG, clock, () =>
    set.all.map((supervisor) => supervisor.status()),
  );
  const ending = new AbortController();
  const stopped = Promise.withResolvers<void>();
  const phases = new StopPhases(clock, settings.shutdown.timeout, {
    hurried() {
      log.info("The pod is about to end: hurrying");
      set.hurry();
    },
    stopped() {
      log.info("Finishing");
      message.begin();
      ending.abort();
      void set.stop().then(stopped.resolve);
    },
    timeEnded() {
      log.warn("No time is left: ending what still runs");
      set.endTime();
    },
  });
  const settingsChanged = (next: RuntimeSettings): void => {
    logger.configure(logSettings(options, next));
    phases.setTimeout(next.shutdown.timeout);
  };
  const { read } = options;
  const base = { file, read, version, clock, logger, metrics, counters, watches, phases };
  const runtime = new Runtime({ ...base, sidecars: set, settingsChanged });
  return {
    logger,
    watches,
    sidecars: set,
    phases,
    runtime,
    message,
    ending: ending.signal,
    stopped: stopped.promise,
  };
}

async function play(options: RunSidecarsOptions, parts: Parts): Promise<RunResult> {
  const { clock, once, stop, stopNow, configPath, file } = options;
  const { sidecars, phases, runtime, message, ending, stopped, watches, logger } = parts;
  const doors = await options.open(runtime, file.settings);
  logger.log.info("Listening", { port: doors.port, socket: file.settings.admin.socket });
  onAbort(stop, () => phases.stop());
  onAbort(stopNow, () => phases.stop());
  logger.log.info("Starting", {
    sidecars: sidecars.current.map(({ name }) => name).join(", "),
    version: options.version,
  });
  const ended = sidecars.start();
  if (configPath !== undefined && !once) {
    const changed = async (): Promise<void> => void (await runtime.reload());
    void watchConfig({ path: configPath, clock, watches, signal: ending, changed });
  }
  await (once ? Promise.race([ended, stopped]) : stopped);
  message.end();
  phases.end();
  const isAllDelivered = tellUndelivered(sidecars, logger);
  await atMost(LAST_OUTPUT_MS, clock, doors.stop());
  const problems = once
    ? sidecars.all.flatMap(({ failure }) => (failure === undefined ? [] : [failure]))
    : [];
  const isFailure = problems.length > 0 || (once && !isAllDelivered);
  return { exitCode: isFailure ? 1 : 0, problems };
}

/** False when something was not delivered. */
function tellUndelivered(sidecars: SidecarSet, logger: Logger): boolean {
  let isAllDelivered = true;
  for (const sidecar of sidecars.all) {
    const { records, bytes, keptBytes } = sidecar.undelivered() ?? { records: 0, bytes: 0, keptBytes: 0 };
    if (records === 0 && bytes === 0) continue;
    isAllDelivered = false;
    logger.forSidecar(sidecar.name).warn("Not everything was delivered", { records, bytes, keptBytes });
  }
  logger.log.info("Ended");
  return isAllDelivered;
}

/** Waits for the work, but no longer than that. */
async function atMost(ms: number, clock: Clock, work: Promise<unknown>): Promise<void> {
  const isOver = new AbortController();
  await Promise.race([work, sleep(ms, clock, isOver.signal)]);
  isOver.abort();
}

function logSettings({ isTerminal }: RunSidecarsOptions, { log }: RuntimeSettings) {
  return { level: log.level, format: log.format ?? (isTerminal ? "text" : "json") };
}

function onAbort(signal: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback();
  else signal.addEventListener("abort", callback, { once: true });
}
