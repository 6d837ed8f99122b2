/** All sidecars of the process: those that the configuration names, and those that a reload has taken out while they finish. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { SidecarEntry } from "../config/sidecar-file.ts";
import { messageOf } from "../kernel/problem.ts";
import { createHost, type World } from "./host.ts";
import type { Logger } from "./log.ts";
import type { Metrics, SidecarMeter } from "./metrics.ts";
import type { ReloadPlan } from "./reload-plan.ts";
import type { RuntimeCounters } from "./runtime-metrics.ts";
import { makeStateFolder } from "./state-folder.ts";
import { Supervisor } from "./supervisor.ts";

/** What a sidecar has for finishing before its successor starts. */
const RELOAD_DEADLINE_MS = 2_000;

export interface SidecarSetOptions {
  readonly world: World;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly counters: RuntimeCounters;
  /** The folder below which every sidecar has its own. */
  readonly state: string;
  readonly once: boolean;
  readonly random: () => number;
}

interface DeclaredMetrics {
  readonly kind: string;
  readonly meter: SidecarMeter;
  readonly metrics: unknown;
}

export class SidecarSet {
  readonly #options: SidecarSetOptions;
  readonly #scope = new AsyncLocalStorage<Supervisor>();
  /** By name, in the order of the file. */
  #current = new Map<string, Supervisor>();
  readonly #retiring = new Set<Supervisor>();
  readonly #declared = new Map<string, DeclaredMetrics>();
  #isHurrying = false;
  #isStopping = false;

  /** Starts nothing. Throws `TypeError` for metrics that break the rules. */
  constructor(options: SidecarSetOptions, entries: readonly SidecarEntry[]) {
    this.#options = options;
    for (const entry of entries) this.#current.set(entry.name, this.#create(entry));
  }

  get current(): readonly Supervisor[] {
    return [...this.#current.values()];
  }

  /** Those that finish because a reload took them out come last. */
  get all(): readonly Supervisor[] {
    return [...this.#current.values(), ...this.#retiring];
  }

  find(name: string): Supervisor | undefined {
    return this.#current.get(name);
  }

  /** Resolves when every sidecar has ended for good. */
  async start(): Promise<void> {
    await Promise.all(this.current.map((supervisor) => supervisor.start()));
  }

  hurry(): void {
    this.#isHurrying = true;
    for (const supervisor of this.all) supervisor.hurry();
  }

  /** Resolves when every sidecar has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.all.map((supervisor) => supervisor.stop("shutdown")));
  }

  endTime(): void {
    for (const supervisor of this.all) supervisor.endTime();
  }

  /** Makes the set what `entries` say; resolves when all of them have been started and all others have ended. */
  async apply(plan: ReloadPlan, entries: readonly SidecarEntry[]): Promise<void> {
    const ended = new Map<string, Promise<void>>();
    for (const name of [...plan.stop, ...plan.restart.map((entry) => entry.name)])
      ended.set(name, this.#retire(name));
    for (const name of plan.stop) void ended.get(name)?.then(() => this.#removeMetrics(name));
    const fresh = [...plan.start, ...plan.restart].map((entry) => this.#create(entry));
    const byName = new Map([...this.current, ...fresh].map((supervisor) => [supervisor.name, supervisor]));
    this.#current = new Map(
      entries.flatMap(({ name }) => {
        const supervisor = byName.get(name);
        return supervisor === undefined ? [] : [[name, supervisor]];
      }),
    );
    const started = fresh.map(async (supervisor) => {
      await ended.get(supervisor.name);
      void supervisor.start();
    });
    await Promise.all([...started, ...ended.values()]);
  }

  /** Something threw where nobody waited for it. Whose fault it is shows in the way it came about, or in its stack. */
  blame(thrown: unknown): void {
    const culprit = this.#scope.getStore() ?? this.#culpritOf(thrown);
    const { logger, counters } = this.#options;
    const log = culprit === undefined ? logger.log : logger.forSidecar(culprit.name);
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    log.error("An error was not caught", { because: messageOf(thrown), stack });
    counters.uncaught.add(1, { sidecar: culprit?.name ?? "" });
    culprit?.breakOff(thrown);
  }

  #culpritOf(thrown: unknown): Supervisor | undefined {
    const stack = thrown instanceof Error ? (thrown.stack ?? "") : "";
    const suspects = this.all.filter(({ kind }) => stack.includes(`/sidecars/${kind}/`));
    const [first, second] = suspects.length > 0 ? suspects : this.all;
    return second === undefined ? first : undefined;
  }

  #create(entry: SidecarEntry): Supervisor {
    const { world, logger, state, once, random, counters } = this.#options;
    const { meter, metrics } = this.#metricsOf(entry);
    const log = logger.forSidecar(entry.name);
    const supervisor: Supervisor = new Supervisor({
      name: entry.name,
      sidecar: entry.sidecar,
      config: entry.config,
      gate: entry.gates,
      metrics,
      once,
      random,
      log,
      clock: world.clock,
      host: async (report) => {
        const stateFolder = makeStateFolder(state, entry.name);
        return createHost(world, {
          log,
          stateFolder,
          report,
          blame: (thrown) => this.#blameOn(supervisor, thrown),
        });
      },
      inScope: (work) => this.#scope.run(supervisor, work),
      runEnded: () => meter.endRun(),
      restarted: () => counters.restarts.add(1, { sidecar: entry.name }),
    });
    counters.restarts.add(0, { sidecar: entry.name });
    if (this.#isHurrying) supervisor.hurry();
    if (this.#isStopping) void supervisor.stop("shutdown");
    return supervisor;
  }

  #blameOn(supervisor: Supervisor, thrown: unknown): void {
    this.#scope.run(supervisor, () => this.blame(thrown));
  }

  async #retire(name: string): Promise<void> {
    const supervisor = this.#current.get(name);
    if (supervisor === undefined) return;
    this.#current.delete(name);
    this.#retiring.add(supervisor);
    const cancel = this.#options.world.clock.schedule(RELOAD_DEADLINE_MS, () => supervisor.endTime());
    await supervisor.stop("reload");
    cancel();
    this.#retiring.delete(supervisor);
  }

  /** Declared once per name, so that counters go on when the sidecar is restarted. */
  #metricsOf({ name, sidecar }: SidecarEntry): DeclaredMetrics {
    const known = this.#declared.get(name);
    if (known?.kind === sidecar.kind) return known;
    known?.meter.remove();
    const meter = this.#options.metrics.forSidecar({ name, kind: sidecar.kind });
    const declared = { kind: sidecar.kind, meter, metrics: sidecar.metrics(meter) };
    this.#declared.set(name, declared);
    return declared;
  }

  #removeMetrics(name: string): void {
    if (this.#current.has(name)) return;
    this.#declared.get(name)?.meter.remove();
    this.#declared.delete(name);
  }
}
