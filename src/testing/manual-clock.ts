/** A clock that stands still until a test moves it. */
import type { Clock } from "../kernel/clock.ts";

interface Timer {
  readonly due: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  #now: number;
  #elapsed = 0;
  readonly #timers = new Set<Timer>();

  /** Milliseconds since the epoch, at first. */
  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  schedule(ms: number, callback: () => void): () => void {
    const timer = { due: this.#elapsed + ms, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Runs every timer that falls due within `ms`, in order, each at its own time. */
  advance(ms: number): void {
    const end = this.#elapsed + ms;
    for (let timer = this.#nextUntil(end); timer !== undefined; timer = this.#nextUntil(end)) {
      this.#timers.delete(timer);
      this.#moveTo(Math.max(timer.due, this.#elapsed));
      timer.callback();
    }
    this.#moveTo(end);
  }

  /** The wall clock is set anew; durations do not notice. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** How many timers wait; 0 after a clean stop. */
  get pending(): number {
    return this.#timers.size;
  }

  #nextUntil(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.due <= end && (next === undefined || timer.due < next.due)) next = timer;
    }
    return next;
  }

  #moveTo(elapsed: number): void {
    this.#now += elapsed - this.#elapsed;
    this.#elapsed = elapsed;
  }
}
