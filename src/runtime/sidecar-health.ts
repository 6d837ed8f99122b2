/** Remembers how one sidecar is, since when, and whether it has ever been well. */
import type { Clock } from "../kernel/clock.ts";
import type { Health, HealthState } from "../kernel/health.ts";
import { causeOf } from "./cause.ts";
import type { Cause } from "./view.ts";

export interface HealthChange {
  readonly state: HealthState;
  readonly cause: Cause | undefined;
}

export class SidecarHealth {
  readonly #clock: Clock;
  readonly #changed: (change: HealthChange) => void;
  #state: HealthState = "degraded";
  #cause: Cause | undefined = { code: "E_STARTING", message: "It is being started" };
  #since: number;

  /** `changed` hears of every change of state or of the kind of cause, not of each new wording. */
  constructor(clock: Clock, changed: (change: HealthChange) => void) {
    this.#clock = clock;
    this.#changed = changed;
    this.#since = clock.now();
  }

  get state(): HealthState {
    return this.#state;
  }

  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** When the state last changed, RFC 3339. */
  get since(): string {
    return new Date(this.#since).toISOString();
  }

  set(health: Health): void {
    const cause = health.state === "ready" ? undefined : causeOf(health.because);
    const isNewState = health.state !== this.#state;
    const isNews = isNewState || cause?.code !== this.#cause?.code;
    if (isNewState) this.#since = this.#clock.now();
    this.#state = health.state;
    this.#cause = cause;
    if (isNews) this.#changed({ state: health.state, cause });
  }
}
