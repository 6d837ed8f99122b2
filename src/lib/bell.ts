/** Wakes one waiting loop, by a ring or when its time is over; a ring that comes too early is not lost. */
import type { Clock } from "../kernel/clock.ts";

export class Bell {
  readonly #clock: Clock;
  #isRung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Resolves at a ring since the last wait, or after `ms`; without `ms` only a ring ends it. One waiter at a time. */
  async wait(ms?: number): Promise<void> {
    if (!this.#isRung) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const cancel = ms === undefined ? undefined : this.#clock.schedule(ms, resolve);
      await promise;
      this.#wake = undefined;
      cancel?.();
    }
    this.#isRung = false;
  }
}
