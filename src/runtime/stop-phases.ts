/** How the process ends: hurry when the pod begins to, finish on SIGTERM, and an end to it all before Kubernetes makes one. */
import type { Clock } from "../kernel/clock.ts";
import type { RuntimePhase } from "./view.ts";

/** KEP-753: a native sidecar that is told to end after the grace period gets this long, then SIGKILL. */
const LEAST_GRACE_MS = 2_000;
/** What is kept back of a grace period that is known: for sidecars to end after the deadline, and for the process to exit. */
const EXIT_MS = 700;

export interface StopListener {
  hurried(): void;
  stopped(): void;
  /** No time is left. */
  timeEnded(): void;
}

export class StopPhases {
  readonly #clock: Clock;
  readonly #listener: StopListener;
  #phase: RuntimePhase = "running";
  #timeoutMs: number;
  /** On the monotonic clock: when the pod's grace period is over, if somebody knows. */
  #graceEnd: number | undefined;
  #cancelDeadline: (() => void) | undefined;
  #isTimeOver = false;

  constructor(clock: Clock, timeoutMs: number, listener: StopListener) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#listener = listener;
  }

  get phase(): RuntimePhase {
    return this.#phase;
  }

  /** Told to end, or over. */
  get isEnding(): boolean {
    return this.#phase === "finishing" || this.#phase === "ended";
  }

  /** Counts for a stop that has not begun. */
  setTimeout(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
  }

  /** The pod has begun to end; `graceMs` is what is left of its grace period. The earliest end that was named counts. */
  prestop(graceMs: number | undefined): void {
    if (this.#phase === "ended") return;
    if (graceMs !== undefined) {
      const end = this.#clock.monotonic() + Math.max(0, graceMs);
      this.#graceEnd = Math.min(end, this.#graceEnd ?? end);
    }
    if (this.#phase !== "running") return;
    this.#phase = "hurrying";
    this.#listener.hurried();
  }

  /** The first time: finish. The second time: at once. */
  stop(): void {
    if (this.#phase === "ended") return;
    if (this.#phase === "finishing") return this.#endTime();
    this.#phase = "finishing";
    this.#cancelDeadline = this.#clock.schedule(this.#msToDeadline(), () => this.#endTime());
    this.#listener.stopped();
  }

  /** Nothing runs any more. */
  end(): void {
    this.#cancelDeadline?.();
    this.#phase = "ended";
  }

  #endTime(): void {
    if (this.#isTimeOver) return;
    this.#isTimeOver = true;
    this.#cancelDeadline?.();
    this.#listener.timeEnded();
  }

  #msToDeadline(): number {
    if (this.#graceEnd === undefined) return this.#timeoutMs;
    const leftMs = Math.max(LEAST_GRACE_MS, this.#graceEnd - this.#clock.monotonic());
    return Math.min(this.#timeoutMs, leftMs - EXIT_MS);
  }
}
