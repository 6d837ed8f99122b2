/** The last step of a container's start: its postStart hook, for which everything else of the pod waits. */
import { runPostStart, type HookedContainer } from "./lifecycle-hooks.ts";
import { beginStop, driveStops, isStopping } from "./stop-container.ts";

export interface StartedContainer extends HookedContainer {
  /** Aborts when the pod is deleted: the hook is given up, and the pod's termination ends the container. */
  readonly signal: AbortSignal;
  readonly wake: () => void;
}

/**
 * True when the hook has succeeded, or there is none. A failed one ends the container, with its preStop hook and grace
 * period, before this resolves; the restart policy decides what follows. Rejects only when the signal aborts.
 */
export async function postStart(started: StartedContainer): Promise<boolean> {
  const { state, container, running, signal } = started;
  if (container.lifecycle?.postStart === undefined) return true;
  const message = await runPostStart(started, signal);
  signal.throwIfAborted();
  if (message === undefined) return true;
  const record = state.record(container.name);
  if (record.running === running) await stop(started);
  record.failure = { reason: "PostStartHookError", message };
  return false;
}

async function stop(started: StartedContainer): Promise<void> {
  const { state, container, signal } = started;
  const record = state.record(container.name);
  const bell = new Bell();
  const ring = () => bell.ring();
  signal.addEventListener("abort", ring);
  void record.ended?.then(ring);
  beginStop(
    { ...started, wake: ring },
    { name: container.name, message: "FailedPostStartHook", cause: "postStart hook", restarts: false },
  );
  try {
    driveStops({ ...started, wake: ring });
    while (isStopping(record)) {
      await bell.rung();
      signal.throwIfAborted();
    }
  } finally {
    signal.removeEventListener("abort", ring);
    // A hook that goes on rings here no more: the pod's worker is asked instead.
    bell.onRing = started.wake;
  }
}

/** Wakes one waiter, also when it rang before anybody waited. */
class Bell {
  onRing: () => void = () => {};
  #rung = Promise.withResolvers<void>();

  ring(): void {
    this.#rung.resolve();
    this.onRing();
  }

  async rung(): Promise<void> {
    await this.#rung.promise;
    this.#rung = Promise.withResolvers<void>();
  }
}
