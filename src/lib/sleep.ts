/** Waits on an injected clock, and stops waiting when it is told to. */
import type { Clock } from "../kernel/clock.ts";

/** Far longer than any wait: this timer only keeps the process alive, which a clock's own timers do not. */
const HOLD_MS = 2 ** 30;

/** Resolves true after `ms`, false as soon as the signal aborts. Never rejects. */
export function sleep(ms: number, clock: Clock, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const hold = setInterval(() => undefined, HOLD_MS);
  const cancel = clock.schedule(ms, () => finish(true));
  const onAbort = (): void => finish(false);
  signal?.addEventListener("abort", onAbort, { once: true });
  function finish(isOver: boolean): void {
    clearInterval(hold);
    cancel();
    signal?.removeEventListener("abort", onAbort);
    resolve(isOver);
  }
  return promise;
}
