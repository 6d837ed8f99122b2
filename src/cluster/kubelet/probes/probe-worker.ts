/** Runs one probe of one container at its times. Sleeps without a timer while there is nothing to find out. */
import type { Probe } from "../../../../generated/kubernetes.ts";
import type { Clock } from "../../../kernel/clock.ts";
import {
  afterOutcome,
  freshState,
  isDelayOver,
  isProbed,
  type ProbedInstance,
  type ProbeKind,
  type ProbeState,
  seeInstance,
  tickAfter,
  tickAtOrAfter,
  type Ticker,
} from "./probe-state.ts";
import type { ProbeOutcome, ProbeTrouble } from "./run-probe.ts";

export interface ProbeWorkerOptions {
  readonly kind: ProbeKind;
  readonly probe: Probe;
  readonly clock: Clock;
  /** Executes the probe on the instance with this id; `undefined` when it does not run any more. Rejects when aborted. */
  readonly execute: (instanceId: string, signal: AbortSignal) => Promise<ProbeOutcome> | undefined;
  /** Told of every outcome that is no success. */
  readonly onTrouble: (outcome: ProbeTrouble) => void;
  /** What counts has changed. */
  readonly onChange: () => void;
}

/** What is known of the container. */
export interface ProbeFacts {
  readonly instance: ProbedInstance | undefined;
  /** Its startup probe has succeeded, or there is none. */
  readonly isStarted: boolean;
  /** What an earlier engine knew of this instance. */
  readonly kept?: boolean | undefined;
}

/** Between the kubelet's start of a container and its first look whether it is ready lies up to a second. */
const EARLY_LOOKS_MS = [200, 1000];

export class ProbeWorker {
  readonly #options: ProbeWorkerOptions;
  readonly #ticker: Ticker;
  #state: ProbeState;
  #facts: ProbeFacts = { instance: undefined, isStarted: false };
  #nextTick: number;
  #hasSeen = false;
  #isOpen = false;
  #isTriggered = false;
  #isStopped = false;
  #running: AbortController | undefined;
  #cancelTimer: (() => void) | undefined;
  #cancelEarlyLook: (() => void) | undefined;

  constructor(options: ProbeWorkerOptions) {
    this.#options = options;
    const { probe, clock, kind } = options;
    this.#ticker = { origin: clock.monotonic(), periodMs: (probe.periodSeconds || 10) * 1000 };
    this.#nextTick = this.#ticker.origin;
    this.#state = freshState(kind);
  }

  /** What counts for the present instance; `undefined` = unknown. */
  get result(): boolean | undefined {
    return this.#state.result;
  }

  /** Results are about this instance. */
  get instanceId(): string | undefined {
    return this.#state.instanceId;
  }

  /** Takes notice of the container as it is now. */
  see(facts: ProbeFacts): void {
    if (this.#isStopped) return;
    const { kind } = this.#options;
    const before = this.#state;
    const isFirst = !this.#hasSeen;
    this.#hasSeen = true;
    this.#facts = facts;
    this.#state = seeInstance(before, kind, facts);
    const isNew = before.instanceId !== this.#state.instanceId;
    const wasOpen = this.#isOpen;
    this.#isOpen = isProbed(this.#state, kind, facts);
    if (isNew || !this.#isOpen) this.#interrupt("The container has ended");
    if (!this.#isOpen) return;
    if (isNew || !wasOpen) {
      // The first tick comes at once, and meets only a container that an earlier engine has started.
      if (!isFirst) this.#nextTick = tickAfter(this.#ticker, this.#options.clock.monotonic());
      if (kind === "readiness" && this.#state.result !== true) this.#lookEarly(0);
    }
    this.#schedule();
  }

  /** Runs now, or as soon as what runs has ended; not before its initial delay is over. */
  trigger(): void {
    if (!this.#isOpen) return;
    this.#isTriggered = true;
    this.#schedule();
  }

  /** Nothing is probed any more; `result` counts from now on. Idempotent. */
  stop(result = this.#state.result): void {
    this.#isStopped = true;
    this.#state = { ...this.#state, result };
    this.#interrupt("The pod is ending");
  }

  #interrupt(why: string): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#cancelEarlyLook?.();
    this.#cancelEarlyLook = undefined;
    this.#isTriggered = false;
    this.#running?.abort(new DOMException(why, "AbortError"));
  }

  #lookEarly(index: number): void {
    const delay = EARLY_LOOKS_MS[index];
    this.#cancelEarlyLook?.();
    if (delay === undefined) return;
    const before = EARLY_LOOKS_MS[index - 1] ?? 0;
    this.#cancelEarlyLook = this.#options.clock.schedule(delay - before, () => {
      this.#cancelEarlyLook = undefined;
      if (this.#state.result === true) return;
      this.trigger();
      this.#lookEarly(index + 1);
    });
  }

  #schedule(): void {
    const { instance } = this.#facts;
    if (!this.#isOpen || this.#isStopped || this.#running !== undefined || instance === undefined) return;
    const { clock, probe } = this.#options;
    const now = clock.monotonic();
    const isTriggered = this.#isTriggered && isDelayOver(probe, instance, now);
    this.#isTriggered = false;
    if (isTriggered) {
      void this.#run(instance);
      return;
    }
    if (this.#cancelTimer !== undefined) return;
    const delayEnd = instance.startedAt + (probe.initialDelaySeconds ?? 0) * 1000;
    const due = Math.max(this.#nextTick, tickAtOrAfter(this.#ticker, delayEnd));
    this.#cancelTimer = clock.schedule(Math.max(0, due - now), () => this.#tick());
  }

  #tick(): void {
    this.#cancelTimer = undefined;
    const { instance } = this.#facts;
    if (instance === undefined) return;
    this.#nextTick = tickAfter(this.#ticker, this.#options.clock.monotonic());
    void this.#run(instance);
  }

  async #run(instance: ProbedInstance): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const controller = new AbortController();
    this.#running = controller;
    try {
      const outcome = await this.#options.execute(instance.id, controller.signal);
      if (outcome !== undefined && !controller.signal.aborted) this.#take(outcome);
    } catch {
      // Aborted: nobody wants to know any more.
    } finally {
      this.#running = undefined;
      this.#schedule();
    }
  }

  #take(outcome: ProbeOutcome): void {
    const { kind, probe, onTrouble, onChange } = this.#options;
    if (outcome.kind !== "success") onTrouble(outcome);
    const before = this.#state.result;
    const success = outcome.kind === "error" ? undefined : outcome.kind !== "failure";
    this.#state = afterOutcome(this.#state, kind, { probe, outcome: success });
    this.#isOpen = isProbed(this.#state, kind, this.#facts);
    if (this.#state.result !== before) onChange();
  }
}
