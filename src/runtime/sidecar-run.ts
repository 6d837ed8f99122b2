/** One run of a sidecar, from `start` to the end of `done`: keeps the contract even where the sidecar does not. */
import type { Clock } from "../kernel/clock.ts";
import type { DeadLetters } from "../kernel/dead-letters.ts";
import type { Host, Log } from "../kernel/host.ts";
import { Problem } from "../kernel/problem.ts";
import type { Running, Sidecar, StopReason, Undelivered } from "../kernel/sidecar.ts";

/** By contract a sidecar ends within 250 ms of its deadline; one that has not by now is left behind. */
const AFTER_DEADLINE_MS = 500;

export interface RunOptions {
  readonly name: string;
  readonly sidecar: Sidecar;
  readonly config: unknown;
  readonly metrics: unknown;
  /** Rejects where the sidecar cannot have its own folder. */
  readonly host: () => Promise<Host>;
  readonly log: Log;
  readonly clock: Clock;
  readonly hurry: AbortSignal;
  readonly once: boolean;
}

export class SidecarRun {
  readonly #options: RunOptions;
  readonly #signal = new AbortController();
  readonly #deadline = new AbortController();
  readonly #broken = Promise.withResolvers<never>();
  readonly #leftBehind = Promise.withResolvers<never>();
  #starting: Promise<Running> | undefined;
  #running: Running | undefined;
  #undelivered: Undelivered | undefined;
  #cancelLeaving: (() => void) | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#broken.promise.catch(() => undefined);
    this.#leftBehind.promise.catch(() => undefined);
  }

  get deadLetters(): DeadLetters | undefined {
    return this.#running?.deadLetters;
  }

  /** `start` has resolved. */
  get hasStarted(): boolean {
    return this.#running !== undefined;
  }

  get isStopping(): boolean {
    return this.#signal.signal.aborted;
  }

  /** Resolves when the sidecar does its work, rejects with what hinders it. At most once. */
  async start(): Promise<void> {
    this.#starting = this.#callStart();
    // Whether or not anybody still waits for it, its end is nobody's surprise.
    this.#starting.then((running) => running.done).catch(() => undefined);
    this.#running = await this.#unlessGivenUp(this.#starting);
  }

  /** After `start`: resolves when the sidecar has nothing left to do, rejects when it broke. */
  async finish(): Promise<void> {
    await this.#unlessGivenUp(this.#running?.done);
  }

  /** Tells it to finish. Only the first reason counts. */
  stop(reason: StopReason): void {
    if (!this.isStopping) this.#signal.abort(reason);
  }

  /** No time is left: after a moment more it is left to itself. */
  endTime(): void {
    if (this.#deadline.signal.aborted) return;
    this.stop("shutdown");
    this.#deadline.abort();
    const { clock, name } = this.#options;
    this.#cancelLeaving = clock.schedule(AFTER_DEADLINE_MS, () =>
      this.#leftBehind.reject(new SidecarNotEnded(name)),
    );
  }

  /** It threw where nobody waited for it: `start` and `finish` reject. */
  breakOff(because: unknown): void {
    this.#broken.reject(because);
  }

  /** Ends whatever may still go on after a failure, and resolves when it has ended. Rejects only with `SidecarNotEnded`. */
  async cleanUp(withinMs: number): Promise<void> {
    this.stop("reload");
    const cancel = this.#options.clock.schedule(withinMs, () => this.endTime());
    try {
      await Promise.race([this.#settled(), this.#leftBehind.promise]);
    } finally {
      cancel();
      this.#cancelLeaving?.();
    }
  }

  /** The last that it said, also when it has ended or says nothing any more. */
  undelivered(): Undelivered | undefined {
    try {
      this.#undelivered = this.#running?.undelivered?.() ?? this.#undelivered;
    } catch (because) {
      this.#options.log.error("Cannot tell what is undelivered", { because });
    }
    return this.#undelivered;
  }

  details(): Readonly<Record<string, unknown>> | undefined {
    try {
      return this.#running?.status?.();
    } catch (because) {
      this.#options.log.error("Cannot tell the details of the status", { because });
      return undefined;
    }
  }

  async #callStart(): Promise<Running> {
    const { sidecar, config, name, metrics, hurry, once, host } = this.#options;
    const [signal, deadline] = [this.#signal.signal, this.#deadline.signal];
    const context = { name, host: await host(), metrics, signal, hurry, deadline, once };
    return await sidecar.start(config, context);
  }

  #unlessGivenUp<Result>(promise: Promise<Result> | undefined): Promise<Result> {
    const given = [this.#broken.promise, this.#leftBehind.promise];
    return promise === undefined ? Promise.race(given) : Promise.race([promise, ...given]);
  }

  async #settled(): Promise<void> {
    try {
      await (
        await this.#starting
      )?.done;
    } catch {
      // Whoever waited for `start` or `finish` knows.
    }
  }
}

/** A sidecar broke its contract. */
export class SidecarNotEnded extends Problem<"E_SIDECAR_NOT_ENDED"> {
  constructor(name: string) {
    super({
      code: "E_SIDECAR_NOT_ENDED",
      message: `Cannot wait for sidecar "${name}" any longer: its time was over and it had not ended`,
      fix: "Report this together with the log of the process: a sidecar must end in time",
    });
  }
}
