/** A wait that ends early when there is something to do. */
import type { Host } from "../../../kernel/host.ts";

export class Waker {
  readonly #host: Host;
  #waiting: AbortController | undefined;
  #isAwake = false;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Ends the wait, or the next one if nobody waits. */
  wake(): void {
    this.#isAwake = true;
    this.#waiting?.abort();
  }

  /** Resolves after `ms`, at once when it was woken since the last wait. */
  async wait(ms: number): Promise<void> {
    if (!this.#isAwake && ms > 0) {
      const waiting = new AbortController();
      this.#waiting = waiting;
      await this.#host.sleep(ms, waiting.signal);
      this.#waiting = undefined;
    }
    this.#isAwake = false;
  }
}
