/** Counts the timers that somebody sets and never clears, by standing in for the global functions. */

const NAMES = ["setTimeout", "setInterval", "clearTimeout", "clearInterval"] as const;

export class TimerWatch implements Disposable {
  readonly #before = NAMES.map((name) => globalThis[name]);
  readonly #pending = new Map<unknown, string>();

  constructor() {
    const [timeout, interval, clearTimeout, clearInterval] = [
      globalThis.setTimeout,
      globalThis.setInterval,
      globalThis.clearTimeout,
      globalThis.clearInterval,
    ];
    const pending = this.#pending;
    const forget = (clear: (timer?: NodeJS.Timeout) => void) => (timer?: NodeJS.Timeout) => {
      pending.delete(timer);
      clear(timer);
    };
    const once = (callback: (...given: unknown[]) => void, ms?: number, ...given: unknown[]) => {
      const timer = timeout(() => {
        pending.delete(timer);
        callback(...given);
      }, ms);
      pending.set(timer, `setTimeout ${ms ?? 0} ms`);
      return timer;
    };
    const again = (callback: (...given: unknown[]) => void, ms?: number, ...given: unknown[]) => {
      const timer = interval(callback, ms, ...given);
      pending.set(timer, `setInterval ${ms ?? 0} ms`);
      return timer;
    };
    Object.assign(globalThis, {
      setTimeout: once,
      setInterval: again,
      clearTimeout: forget(clearTimeout),
      clearInterval: forget(clearInterval),
    });
  }

  /** What still waits. */
  get pending(): readonly string[] {
    return [...this.#pending.values()];
  }

  [Symbol.dispose](): void {
    for (const [index, name] of NAMES.entries()) Object.assign(globalThis, { [name]: this.#before[index] });
  }
}
