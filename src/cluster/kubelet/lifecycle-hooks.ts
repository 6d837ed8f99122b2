/** Hooks in a container's life: when they run, and what their failure means (kubelet startContainer, executePreStopHook). */
import type { Container, LifecycleHandler } from "../../../generated/kubernetes.ts";
import type { RunningContainer } from "../sandbox/sandbox.ts";
import { runHook } from "./hooks/run-hook.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { containerEvent } from "./pod-events.ts";
import type { PodState, PreStop } from "./pod-state.ts";

export interface HookedContainer {
  readonly context: KubeletContext;
  readonly state: PodState;
  readonly container: Container;
  readonly running: RunningContainer;
}

/** Resolves with the kubelet's message when the hook failed, or was given up by `signal`. Never rejects. */
export async function runPostStart(of: HookedContainer, signal: AbortSignal): Promise<string | undefined> {
  const handler = of.container.lifecycle?.postStart;
  if (handler === undefined) return undefined;
  const message = await failureOf(of, handler, signal);
  const isNodeStopping = signal.aborted && of.state.termination === undefined;
  // What a server said may be secret: the event does not repeat it.
  if (message !== undefined && !isNodeStopping)
    tellFailure(of, "FailedPostStartHook", "PostStartHook failed");
  return message;
}

/** `undefined` when the container has no such hook. `onEnd` is called when it ended by itself. */
export function startPreStop(of: HookedContainer, onEnd: () => void): PreStop | undefined {
  const handler = of.container.lifecycle?.preStop;
  if (handler === undefined) return undefined;
  const controller = new AbortController();
  const hook: PreStop = {
    isRunning: true,
    abort() {
      hook.isRunning = false;
      controller.abort();
    },
  };
  void (async () => {
    const message = await failureOf(of, handler, controller.signal);
    hook.isRunning = false;
    if (controller.signal.aborted) return;
    if (message !== undefined) tellFailure(of, "FailedPreStopHook", "PreStopHook failed");
    onEnd();
  })();
  return hook;
}

async function failureOf(
  { context, state, container, running }: HookedContainer,
  handler: LifecycleHandler,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { pod } = state;
  const podIP = state.sandbox?.ip ?? "";
  try {
    await runHook(handler, { context, pod, podIP, container, running }, signal);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function tellFailure({ context, state, container }: HookedContainer, reason: string, message: string): void {
  const about = { pod: state.pod, name: container.name };
  containerEvent(context.recorder, about, { type: "Warning", reason, message });
}
