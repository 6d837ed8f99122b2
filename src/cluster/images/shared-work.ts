/** Runs one piece of work for everybody who asks for it at the same time, and gives it up when nobody waits any more. */

interface Shared<Result> {
  readonly result: Promise<Result>;
  readonly controller: AbortController;
  waiting: number;
}

export class SharedWork<Result> {
  readonly #running = new Map<string, Shared<Result>>();

  /** Joins the work under `key` or starts it. Rejects with the signal's reason as soon as it aborts. */
  async join(
    key: string,
    start: (signal: AbortSignal) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    signal?.throwIfAborted();
    const shared = this.#running.get(key) ?? this.#begin(key, start);
    shared.waiting += 1;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([shared.result, aborted]);
    } finally {
      signal?.removeEventListener("abort", onAbort);
      shared.waiting -= 1;
      if (shared.waiting === 0) this.#giveUp(key, shared);
    }
  }

  #begin(key: string, start: (signal: AbortSignal) => Promise<Result>): Shared<Result> {
    const controller = new AbortController();
    const result = start(controller.signal);
    const shared = { result, controller, waiting: 0 };
    this.#running.set(key, shared);
    const forget = (): void => {
      if (this.#running.get(key) === shared) this.#running.delete(key);
    };
    result.then(forget, forget);
    return shared;
  }

  /** Whoever asks next starts anew. */
  #giveUp(key: string, shared: Shared<Result>): void {
    if (this.#running.get(key) === shared) this.#running.delete(key);
    shared.controller.abort();
  }
}
