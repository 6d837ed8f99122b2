/** Signals to containers that have to end: one on its own, or all of a pod. */
import type { Probe } from "../../../generated/kubernetes.ts";
import { SIGKILL } from "./stop-signal.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { startPreStop } from "./lifecycle-hooks.ts";
import type { ContainerToKill, KillCause } from "./pod-actions.ts";
import { containerEvent, podEvent } from "./pod-events.ts";
import { stoppingContainer, type ContainerRecord, type PodState } from "./pod-state.ts";
import { terminationStep } from "./termination.ts";

const SIGTERM = 15;
const DEFAULT_GRACE_SECONDS = 30;
const DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline";
/** On its own, a container waits for nobody. */
const NOBODY = { containers: [] };

/** What stopping takes. `wake` asks for the next step: a hook has ended. */
export interface Stopper {
  readonly context: KubeletContext;
  readonly state: PodState;
  readonly wake: () => void;
}

/** Begins to stop one container of a pod that goes on: event, preStop hook, grace period. */
export function beginStop(stopper: Stopper, { name, message, cause, restarts }: ContainerToKill): void {
  const { context, state } = stopper;
  const record = state.record(name);
  if (record.running === undefined || record.stopping !== undefined) return;
  containerEvent(context.recorder, { pod: state.pod, name }, { type: "Normal", reason: "Killing", message });
  record.isBeingReplaced = restarts;
  const graceMs = graceSecondsOf(state, name, cause) * 1000;
  record.stopping = { isKilled: false, alone: { begunAt: context.clock.monotonic(), graceMs } };
  if (graceMs === 0) return;
  const onHookEnd = () => {
    driveStops(stopper);
    stopper.wake();
  };
  beginPreStop({ ...stopper, wake: onHookEnd }, name);
}

/** A probe may have a grace period of its own, also one that is longer than the pod's (setTerminationGracePeriod). */
function graceSecondsOf(state: PodState, name: string, cause: KillCause): number {
  const { terminationGracePeriodSeconds = DEFAULT_GRACE_SECONDS } = state.pod.spec;
  const { startupProbe, livenessProbe } = state.container(name) ?? {};
  let probe: Probe | undefined;
  if (cause === "startup probe") probe = startupProbe;
  else if (cause === "liveness probe") probe = livenessProbe;
  return probe?.terminationGracePeriodSeconds ?? terminationGracePeriodSeconds;
}

/**
 * The next step for the containers that are stopped on their own, now and whenever time asks for another: a pass that waits
 * for a hook or an image holds up no SIGKILL.
 */
export function driveStops(stopper: Stopper): void {
  const { context, state } = stopper;
  cancelStops(state);
  if (state.termination !== undefined) return;
  const wakeInMs = stopReplaced(context, state);
  if (wakeInMs === undefined) return;
  state.cancelStopTimer = context.clock.schedule(wakeInMs, () => {
    driveStops(stopper);
    stopper.wake();
  });
}

/** No more steps of `driveStops`: the pod's termination, or nobody, goes on with what it began. */
export function cancelStops(state: PodState): void {
  state.cancelStopTimer?.();
  state.cancelStopTimer = undefined;
}

/** Milliseconds until time asks for the next step. */
function stopReplaced({ clock }: KubeletContext, state: PodState): number | undefined {
  const now = clock.monotonic();
  const wakes: number[] = [];
  for (const [name, record] of state.containers) {
    const { stopping } = record;
    if (stopping?.alone === undefined || !isStopping(record)) continue;
    const containers = [stoppingContainer(name, record)];
    const step = terminationStep(NOBODY, stopping.alone, { containers, now });
    if (step.signal.length > 0) signal(record, now);
    if (step.kill.length > 0) kill(record);
    if (step.isDone) stopping.preStop?.abort();
    if (step.wakeInMs !== undefined) wakes.push(step.wakeInMs);
  }
  return wakes.length === 0 ? undefined : Math.min(...wakes);
}

/** It runs, or its preStop hook outlives it within the grace period: until then no new instance starts. */
export function isStopping({ running, stopping }: ContainerRecord): boolean {
  return running !== undefined || stopping?.preStop?.isRunning === true;
}

/** Nothing has to run any more: what still does is stopped with the pod's own grace period. */
export function beginCompletion({ clock }: KubeletContext, state: PodState): void {
  const { terminationGracePeriodSeconds = DEFAULT_GRACE_SECONDS } = state.pod.spec;
  state.beginTermination(terminationGracePeriodSeconds, { kind: "completed" }, clock.monotonic());
}

/** The next step of the pod's termination; `isDone` when nothing runs. */
export function stopAll(stopper: Stopper): { readonly isDone: boolean; readonly wakeInMs?: number } {
  const { context, state } = stopper;
  const { termination } = state;
  if (termination === undefined) return { isDone: false };
  cancelStops(state);
  announce(stopper, termination.graceMs > 0);
  const now = context.clock.monotonic();
  const containers = state.stoppingContainers();
  const step = terminationStep(state.pod.spec, termination, { containers, now });
  for (const name of step.signal) signal(state.record(name), now);
  for (const name of step.kill) kill(state.record(name));
  return step;
}

/** All `Killing` events and preStop hooks come at the beginning, also of those who wait for their turn. */
function announce(stopper: Stopper, runsHooks: boolean): void {
  const { context, state } = stopper;
  for (const [name, record] of state.containers) {
    if (record.running === undefined || record.stopping?.isInTermination === true) continue;
    const isBeingStopped = record.stopping !== undefined;
    record.stopping = { isKilled: false, ...record.stopping, isInTermination: true };
    const message = `Stopping container ${name}`;
    containerEvent(
      context.recorder,
      { pod: state.pod, name },
      { type: "Normal", reason: "Killing", message },
    );
    if (runsHooks && !isBeingStopped) beginPreStop(stopper, name);
  }
}

function beginPreStop({ context, state, wake }: Stopper, name: string): void {
  const record = state.record(name);
  const container = state.container(name);
  const { running, stopping } = record;
  if (container === undefined || running === undefined || stopping === undefined) return;
  const preStop = startPreStop({ context, state, container, running }, wake);
  if (preStop !== undefined) record.stopping = { ...stopping, preStop };
}

/** Gives up the hooks that outlived their containers and the grace period. */
export function abandonHooks(state: PodState): void {
  for (const { stopping } of state.containers.values()) stopping?.preStop?.abort();
}

function signal(record: ContainerRecord, now: number): void {
  record.stopping = { isKilled: false, ...record.stopping, signaledAt: now };
  record.running?.kill(record.stopSignal ?? SIGTERM);
}

function kill(record: ContainerRecord): void {
  if (record.stopping?.isKilled === true) return;
  record.stopping = { ...record.stopping, isKilled: true };
  record.running?.kill(SIGKILL);
}

/** Milliseconds until `activeDeadlineSeconds` is over; when it is, that is why the pod's termination has begun. */
export function deadlineLeft(
  { clock, recorder }: KubeletContext,
  state: PodState,
): number | "passed" | undefined {
  const { activeDeadlineSeconds, terminationGracePeriodSeconds = DEFAULT_GRACE_SECONDS } = state.pod.spec;
  const startedAt = state.startedAt(clock);
  if (activeDeadlineSeconds === undefined || startedAt === undefined) return undefined;
  const leftMs = startedAt + activeDeadlineSeconds * 1000 - clock.monotonic();
  if (leftMs > 0) return leftMs;
  const reason = "DeadlineExceeded";
  podEvent(recorder, state.pod, { type: "Normal", reason, message: DEADLINE_MESSAGE });
  state.beginTermination(
    terminationGracePeriodSeconds,
    { kind: "deadline", status: { phase: "Failed", reason, message: DEADLINE_MESSAGE } },
    clock.monotonic(),
  );
  return "passed";
}
