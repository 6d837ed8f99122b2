/**
 * Keeps a container whose programs are slow to begin from holding up the engine, which waits for each of them: one that takes
 * no processor time (a limit of a thousandth, shared with a hundred busy threads) or makes them wait for a file (a lease).
 */
import type { Clock } from "../../kernel/clock.ts";
import { ContainerStartError } from "./sandbox.ts";

/** Programs take 1 to 3 ms to begin; this long only where the machine itself is in trouble. */
const SLOW_MS = 1_000;
/** The pause is so many times what the engine has lost. */
const FACTOR = 20;

export class ExecPause {
  readonly #clock: Clock;
  /** By process 1: monotonic milliseconds. */
  readonly #until = new Map<number, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws `ContainerStartError` as long as the container's pause lasts. */
  refuse(pid: number): void {
    const left = (this.#until.get(pid) ?? 0) - this.#clock.monotonic();
    if (left <= 0) return;
    throw new ContainerStartError(
      "StartError",
      "OCI runtime exec failed: exec failed: the last program in this container took too long to begin; " +
        `the next may be tried in ${Math.ceil(left / 1000)} s: unknown`,
    );
  }

  /** Before a launch; what it returns is to be called after it. */
  begin(): (pid: number) => void {
    const begun = this.#clock.monotonic();
    return (pid) => {
      const now = this.#clock.monotonic();
      if (now - begun >= SLOW_MS) this.#until.set(pid, now + FACTOR * (now - begun));
    };
  }

  /** The container has ended. */
  forget(pid: number): void {
    this.#until.delete(pid);
  }
}
