/** When a lane may send again after failures: the lane as a whole, and the records that were refused for now. */
import type { Clock } from "../../../kernel/clock.ts";
import { backOffMs } from "../../../lib/back-off.ts";

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
/** While the pod ends there is no time for more. */
const LONGEST_AT_END_MS = 1_000;
/** A receiver may ask for more than we wait by ourselves, but not for hours. */
const LONGEST_RETRY_AFTER_MS = 300_000;
const AT_ONCE = Number.NEGATIVE_INFINITY;

/** All times are of the monotonic clock. */
export class Pace {
  readonly #clock: Clock;
  readonly #random: () => number;
  #isEnding = false;
  #failures = 0;
  #resumeAt = AT_ONCE;
  #refusals = 0;
  #retryAt = AT_ONCE;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Nothing is sent before. */
  get resumeAt(): number {
    return this.#resumeAt;
  }

  /** What was refused for now is not sent before. */
  get retryAt(): number {
    return Math.max(this.#retryAt, this.#resumeAt);
  }

  /** Everything is tried at once, and more often from now on. */
  end(): void {
    this.#isEnding = true;
    this.#resumeAt = AT_ONCE;
    this.#retryAt = AT_ONCE;
  }

  failed(retryAfterMs?: number): void {
    const ms = Math.min(retryAfterMs ?? this.#backOffMs(this.#failures), LONGEST_RETRY_AFTER_MS);
    this.#failures += 1;
    this.#resumeAt = this.#clock.monotonic() + ms;
  }

  /** The next failure is the first in a row. */
  progressed(): void {
    this.#failures = 0;
  }

  refused(): void {
    this.#retryAt = this.#clock.monotonic() + this.#backOffMs(this.#refusals);
    this.#refusals += 1;
  }

  /** Nothing that was refused for now is left. */
  retried(): void {
    this.#refusals = 0;
  }

  /** What waits to be retried goes as soon as anything does. */
  retryFirst(): void {
    this.#retryAt = AT_ONCE;
  }

  #backOffMs(tries: number): number {
    const longestMs = this.#isEnding ? LONGEST_AT_END_MS : LONGEST_MS;
    return backOffMs(tries, { firstMs: FIRST_MS, longestMs }, this.#random);
  }
}
