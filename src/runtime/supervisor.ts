/**
 * One sidecar's life: started, and started again when it breaks, until it is told to finish. Nothing that happens in here
 * reaches another sidecar.
 */
import type { Clock } from "../kernel/clock.ts";
import type { DeadLetters } from "../kernel/dead-letters.ts";
import type { Gate, Health } from "../kernel/health.ts";
import type { Host, Log } from "../kernel/host.ts";
import { Problem } from "../kernel/problem.ts";
import type { Sidecar, StopReason, Undelivered } from "../kernel/sidecar.ts";
import { type BackOff, backOffMs } from "../lib/back-off.ts";
import { sleep } from "../lib/sleep.ts";
import { causeOf } from "./cause.ts";
import { SidecarHealth } from "./sidecar-health.ts";
import { SidecarNotEnded, SidecarRun } from "./sidecar-run.ts";
import type { SidecarState, SidecarStatus } from "./view.ts";

const RESTART: BackOff = { firstMs: 1_000, longestMs: 60_000 };
/** After a run of this length the next failure is a first failure. */
const GOOD_RUN_MS = 60_000;
/** What a run that broke has for ending the rest of itself. */
const CLEAN_UP_MS = 2_000;

export interface SupervisorOptions {
  readonly name: string;
  readonly sidecar: Sidecar;
  readonly config: unknown;
  readonly gate: Gate;
  readonly metrics: unknown;
  readonly once: boolean;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly log: Log;
  /** Makes the host of one run; rejects where the sidecar cannot have its own folder. */
  readonly host: (report: (health: Health) => void) => Promise<Host>;
  /** Calls in a way that tells whose fault it is when something throws later. */
  readonly inScope: <Result>(work: () => Result) => Result;
  /** A run is over: nobody may ask its gauges any more. */
  readonly runEnded: () => void;
  readonly restarted: () => void;
}

export class Supervisor {
  readonly name: string;
  readonly kind: string;
  readonly gate: Gate;
  readonly health: SidecarHealth;
  readonly #options: SupervisorOptions;
  readonly #stop = new AbortController();
  readonly #hurry = new AbortController();
  #state: SidecarState = "starting";
  #run: SidecarRun | undefined;
  /** The run whose reports count; what is left of one that broke has no say any more. */
  #heard: SidecarRun | undefined;
  #isTried = false;
  #hasSucceeded = false;
  #hasReported = false;
  #restarts = 0;
  #failures = 0;
  #failure: unknown;
  #ended: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.name = options.name;
    this.kind = options.sidecar.kind;
    this.gate = options.gate;
    this.health = new SidecarHealth(options.clock, ({ state, cause }) => {
      const level = state === "ready" ? "info" : state === "degraded" ? "warn" : "error";
      options.log[level](`The sidecar is ${state}`, cause === undefined ? undefined : { ...cause });
    });
  }

  get state(): SidecarState {
    return this.#state;
  }

  /** The first attempt to start it is over, whichever way. */
  get isTried(): boolean {
    return this.#isTried;
  }

  /** It has done its work once. */
  get hasSucceeded(): boolean {
    return this.#hasSucceeded;
  }

  /** Why it ended although nobody told it to; undefined while it lives and when all went well. */
  get failure(): unknown {
    return this.#failure;
  }

  get deadLetters(): DeadLetters | undefined {
    return this.#state === "running" || this.#state === "finishing" ? this.#run?.deadLetters : undefined;
  }

  /** Begins, at most once; resolves when the sidecar has ended for good. Never rejects. */
  start(): Promise<void> {
    this.#ended ??= this.#options.inScope(() => this.#live());
    return this.#ended;
  }

  /** The pod has begun to end. */
  hurry(): void {
    this.#options.inScope(() => this.#hurry.abort());
  }

  /** Tells it to finish; resolves when it has. One that was never started has ended at once. */
  async stop(reason: StopReason): Promise<void> {
    if (this.#state !== "ended") this.#state = "finishing";
    this.#options.inScope(() => {
      this.#stop.abort(reason);
      this.#run?.stop(reason);
    });
    if (this.#ended === undefined) this.#state = "ended";
    await this.#ended;
  }

  /** No time is left. */
  endTime(): void {
    void this.stop("shutdown");
    this.#options.inScope(() => this.#run?.endTime());
  }

  /** Something of it threw where nobody waited for it: how it is nobody knows, so it begins anew. */
  breakOff(because: unknown): void {
    this.#run?.breakOff(because);
  }

  undelivered(): Undelivered | undefined {
    return this.#run?.undelivered();
  }

  status(): SidecarStatus {
    const { name, gate, sidecar } = this.#options;
    const { state, cause, since } = this.health;
    const [undelivered, details] = [this.undelivered(), this.#run?.details()];
    return {
      name,
      kind: sidecar.kind,
      state: this.#state,
      health: state,
      gate,
      ...(cause === undefined ? {} : { cause }),
      restarts: this.#restarts,
      since,
      ...(undelivered === undefined ? {} : { undelivered }),
      ...(details === undefined ? {} : { details }),
    };
  }

  async #live(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const isOver = await this.#play();
      if (isOver || this.#options.once || this.#stop.signal.aborted) break;
      if (!(await this.#backOff())) break;
      this.#restarts += 1;
      this.#options.restarted();
    }
    this.#state = "ended";
  }

  /** One run. True when it ended as it should. */
  async #play(): Promise<boolean> {
    const run = this.#createRun();
    this.#run = run;
    this.#heard = run;
    this.#hasReported = false;
    if (!this.#stop.signal.aborted) this.#state = "starting";
    const since = this.#options.clock.monotonic();
    try {
      await run.start();
      this.#hasStarted();
      await run.finish();
      if (!run.isStopping && !this.#options.once) throw new SidecarEnded(this.name);
      return true;
    } catch (because) {
      return this.#hasFailed(run, because, this.#options.clock.monotonic() - since);
    } finally {
      await this.#cleanUp(run);
    }
  }

  #createRun(): SidecarRun {
    const { host } = this.#options;
    const report = (health: Health): void => {
      if (this.#heard === run) this.#hear(health);
    };
    const run: SidecarRun = new SidecarRun({
      ...this.#options,
      hurry: this.#hurry.signal,
      host: () => host(report),
    });
    return run;
  }

  #hear(health: Health): void {
    this.#hasReported = true;
    this.health.set(health);
    if (this.#state === "running" && health.state !== "failing") this.#hasSucceeded = true;
  }

  #hasStarted(): void {
    this.#isTried = true;
    this.#failure = undefined;
    if (this.#state === "starting") this.#state = "running";
    if (!this.#hasReported) this.health.set({ state: "ready" });
    if (this.health.state !== "failing") this.#hasSucceeded = true;
  }

  /** True when it is no failure: a start that is called off rejects with whatever it was doing. */
  #hasFailed(run: SidecarRun, because: unknown, afterMs: number): boolean {
    const wasCalledOff = run.isStopping && !run.hasStarted && !(because instanceof SidecarNotEnded);
    this.#isTried = true;
    if (wasCalledOff) return true;
    if (!this.#stop.signal.aborted && !this.#options.once) this.#state = "backing-off";
    this.#heard = undefined;
    this.#failure = because;
    this.#failures = afterMs >= GOOD_RUN_MS ? 1 : this.#failures + 1;
    this.health.set({ state: "failing", because });
    return false;
  }

  async #cleanUp(run: SidecarRun): Promise<void> {
    try {
      await run.cleanUp(CLEAN_UP_MS);
    } catch (because) {
      this.#options.log.error("The sidecar is left to itself: it does not end", { because });
    }
    this.#options.runEnded();
  }

  /** False when it is told to finish meanwhile. */
  async #backOff(): Promise<boolean> {
    const { clock, random, log } = this.#options;
    const ms = backOffMs(this.#failures - 1, RESTART, random);
    const cause = causeOf(this.#failure);
    log.warn("The sidecar is started again later", { ...cause, ms, failures: this.#failures });
    return await sleep(ms, clock, this.#stop.signal);
  }
}

/** A sidecar's `done` resolved although nobody told it to finish. */
class SidecarEnded extends Problem<"E_SIDECAR_ENDED"> {
  constructor(name: string) {
    super({
      code: "E_SIDECAR_ENDED",
      message: `Cannot keep sidecar "${name}" running: it ended although nobody told it to`,
      fix: "Report this together with the log of the process",
    });
  }
}
