/** A running Pillion as its doors see it: answers probes and `/status`, ends and reloads itself. */
import type { SidecarEntry, SidecarFile } from "../config/sidecar-file.ts";
import type { RuntimeSettings } from "../config/sidecar-schema.ts";
import type { Clock } from "../kernel/clock.ts";
import type { DeadLetters } from "../kernel/dead-letters.ts";
import { causeOf } from "./cause.ts";
import type { FolderWatches } from "./folder-watches.ts";
import type { Metrics } from "./metrics.ts";
import { needRestart, planReload } from "./reload-plan.ts";
import type { RuntimeCounters } from "./runtime-metrics.ts";
import type { SidecarSet } from "./sidecar-set.ts";
import type { StopPhases } from "./stop-phases.ts";
import type { Supervisor } from "./supervisor.ts";
import type {
  ConfigStatus,
  PrestopOptions,
  ProbeAnswer,
  ReloadOutcome,
  RuntimeStatus,
  RuntimeView,
} from "./view.ts";
import type { Logger } from "./log.ts";

/** A sidecar that gates nothing does not hold up the pod for longer, also when its start hangs. */
const FIRST_TRY_MS = 2_000;

export interface RuntimeOptions {
  readonly file: SidecarFile;
  /** Reads the configuration anew. Rejects with what is wrong with it. */
  readonly read: () => Promise<SidecarFile>;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly counters: RuntimeCounters;
  readonly watches: FolderWatches;
  readonly sidecars: SidecarSet;
  readonly phases: StopPhases;
  /** Takes over what may change while the process runs. */
  readonly settingsChanged: (settings: RuntimeSettings) => void;
}

export class Runtime implements RuntimeView {
  readonly #options: RuntimeOptions;
  readonly #startedAt: string;
  readonly #startedMonotonic: number;
  #entries: readonly SidecarEntry[];
  #settings: RuntimeSettings;
  #config: ConfigStatus;
  #reloading: Promise<unknown> = Promise.resolve();
  #hasStarted = false;

  constructor(options: RuntimeOptions) {
    this.#options = options;
    this.#startedAt = this.#timestamp();
    this.#startedMonotonic = options.clock.monotonic();
    this.#entries = options.file.sidecars;
    this.#settings = options.file.settings;
    this.#config = { loadedAt: this.#startedAt, needRestart: [] };
  }

  status(): RuntimeStatus {
    const { version, phases, watches, sidecars } = this.#options;
    return {
      version,
      startedAt: this.#startedAt,
      phase: phases.phase,
      config: this.#config,
      polledFolders: watches.polled,
      sidecars: sidecars.all.map((supervisor) => supervisor.status()),
    };
  }

  isLive(): ProbeAnswer {
    return { isOk: true, because: [] };
  }

  isStarted(): ProbeAnswer {
    if (this.#hasStarted) return { isOk: true, because: [] };
    const hadTime = this.#options.clock.monotonic() - this.#startedMonotonic >= FIRST_TRY_MS;
    const answer = this.#probe((sidecar) =>
      sidecar.gate === "start" ? sidecar.hasSucceeded : sidecar.isTried || hadTime,
    );
    this.#hasStarted = answer.isOk;
    return answer;
  }

  isReady(): ProbeAnswer {
    return this.#probe(
      ({ gate, hasSucceeded, health }) => gate !== "traffic" || (hasSucceeded && health.state !== "failing"),
    );
  }

  metricsText(): string {
    return this.#options.metrics.text();
  }

  prestop({ graceMs }: PrestopOptions = {}): void {
    this.#options.phases.prestop(graceMs);
  }

  quit(): void {
    this.#options.phases.stop();
  }

  async reload(): Promise<ReloadOutcome> {
    const outcome = this.#reloading.then(() => this.#reload());
    this.#reloading = outcome.catch(() => undefined);
    return await outcome;
  }

  deadLetters(name: string): DeadLetters | undefined {
    return this.#options.sidecars.find(name)?.deadLetters;
  }

  async #reload(): Promise<ReloadOutcome> {
    const { phases, read } = this.#options;
    if (phases.isEnding) return { outcome: "too-late" };
    let next: SidecarFile;
    try {
      next = await read();
    } catch (problem) {
      return this.#reject(problem);
    }
    if (phases.isEnding) return { outcome: "too-late" };
    return await this.#apply(next);
  }

  #reject(problem: unknown): ReloadOutcome {
    const { counters, logger } = this.#options;
    const cause = causeOf(problem);
    this.#config = { ...this.#config, rejected: { ...cause, at: this.#timestamp() } };
    counters.reloads.add(1, { outcome: "rejected" });
    logger.log.error("The configuration file cannot be used; the last good one stays in use", { ...cause });
    return { outcome: "rejected", problem };
  }

  async #apply(next: SidecarFile): Promise<ReloadOutcome> {
    const { counters, logger, sidecars, settingsChanged, file } = this.#options;
    const plan = planReload(this.#entries, next.sidecars);
    const waiting = needRestart(file.settings, next.settings);
    const isSame =
      plan.start.length + plan.restart.length + plan.stop.length === 0 &&
      JSON.stringify(next.settings) === JSON.stringify(this.#settings);
    this.#config = {
      loadedAt: isSame ? this.#config.loadedAt : this.#timestamp(),
      needRestart: waiting,
    };
    const outcome = isSame ? "unchanged" : "applied";
    counters.reloads.add(1, { outcome });
    if (isSame) return { outcome: "unchanged", needRestart: waiting };
    this.#entries = next.sidecars;
    this.#settings = next.settings;
    settingsChanged(next.settings);
    const changes = {
      started: plan.start.map(({ name }) => name),
      restarted: plan.restart.map(({ name }) => name),
      stopped: plan.stop,
      needRestart: waiting,
    };
    logger.log.info("The configuration is in use", changes);
    if (waiting.length > 0)
      logger.log.warn("Restart the process for keys that cannot change while it runs", {
        keys: waiting.join(", "),
      });
    await sidecars.apply(plan, next.sidecars);
    return { outcome: "applied", ...changes };
  }

  #probe(isFine: (sidecar: Supervisor) => boolean): ProbeAnswer {
    const because = this.#options.sidecars.current
      .filter((sidecar) => !isFine(sidecar))
      .map(({ name, health }) => `${name}: ${health.cause?.message ?? health.state}`);
    return { isOk: because.length === 0, because };
  }

  #timestamp(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }
}
