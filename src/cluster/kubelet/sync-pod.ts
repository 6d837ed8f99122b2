/** One pass over a pod that is meant to run: applies what `computePodActions` decides (kubelet SyncPod). */
import type { Container } from "../../../generated/kubernetes.ts";
import { isSidecar, describePod } from "../../k8s/pod.ts";
import { backoffLeft, goDuration, nextBackoff } from "./crash-backoff.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { computePodActions, type ContainerToKill, type PodActions } from "./pod-actions.ts";
import { containerEvent } from "./pod-events.ts";
import { prepareSandbox } from "./prepare-sandbox.ts";
import type { PodState } from "./pod-state.ts";
import { startContainer } from "./start-container.ts";
import { deadlineLeft, rejectPod, stopReplaced } from "./stop-container.ts";
import { writeStatus } from "./write-status.ts";

/** A pass over one pod. */
export interface Pass {
  readonly context: KubeletContext;
  readonly state: PodState;
  /** Aborts when the pod is deleted: what takes long gives up. */
  readonly signal: AbortSignal;
  /** Failed starts are tried again before their time. */
  readonly retriesNow: boolean;
  /** Asks for another pass. */
  readonly wake: () => void;
}

export interface PassResult {
  /** Milliseconds until time alone asks for another pass. */
  readonly wakeInMs?: number;
  /** The situation has changed: decide again at once. */
  readonly again: boolean;
}

/** Collects the earliest moment at which somebody wants to be asked again. */
class Wishes {
  #wakeInMs: number | undefined;
  again = false;

  in(ms: number | undefined): void {
    if (ms === undefined) return;
    this.#wakeInMs = Math.min(this.#wakeInMs ?? Number.POSITIVE_INFINITY, Math.max(0, ms));
  }

  result(): PassResult {
    const { again } = this;
    return this.#wakeInMs === undefined ? { again } : { again, wakeInMs: this.#wakeInMs };
  }
}

export async function syncPod(pass: Pass): Promise<PassResult> {
  const { context, state } = pass;
  const wishes = new Wishes();
  if (rejectPod(context, state)) return { again: true };
  const expiry = deadlineLeft(context, state);
  if (expiry === "passed") return { again: true };
  wishes.in(expiry);

  const actions = computePodActions(state.observe());
  if (actions.killPod) {
    const graceSeconds = state.pod.spec.terminationGracePeriodSeconds ?? 30;
    state.beginTermination(graceSeconds, { kind: "completed" }, context.clock.monotonic());
    return { again: true };
  }
  for (const kill of actions.kill) beginReplacement(pass, kill);
  wishes.in(stopReplaced(context, state));
  if (actions.createSandbox || state.volumes === undefined) {
    const retryInMs = await prepareSandbox(pass, actions.createSandbox);
    if (retryInMs !== undefined) {
      wishes.in(retryInMs);
      return wishes.result();
    }
  }
  await startAll(pass, actions, wishes);
  return wishes.result();
}

async function startAll(pass: Pass, actions: PodActions, wishes: Wishes): Promise<void> {
  const { initContainers = [], containers } = pass.state.pod.spec;
  for (const index of actions.startInit) {
    const container = initContainers[index];
    if (container === undefined) continue;
    const hasStarted = await startOne(pass, container, wishes);
    // A sidecar that cannot start holds up nobody who is already past it (I6).
    if (!hasStarted && !isSidecar(container)) return;
  }
  for (const index of actions.start) {
    const container = containers[index];
    if (container !== undefined) await startOne(pass, container, wishes);
  }
}

/** Back-off, then the start. True when the container runs now. */
async function startOne(pass: Pass, container: Container, wishes: Wishes): Promise<boolean> {
  const { context, state, signal } = pass;
  signal.throwIfAborted();
  const { sandbox } = state;
  if (sandbox === undefined || state.isSandboxDead) return false;
  const failure = state.record(container.name).failure;
  const waitMs = (failure?.retryAt ?? 0) - context.clock.now();
  if (waitMs > 0 && !pass.retriesNow) {
    wishes.in(waitMs);
    return false;
  }
  const backoffMs = crashBackoff(pass, container);
  if (backoffMs > 0) {
    wishes.in(backoffMs);
    return false;
  }
  const hasStarted = await startContainer({
    ...pass,
    sandbox,
    container,
    onSlowStep: () => writeStatus(context, state),
    onExit: pass.wake,
  });
  const { failure: newFailure, current } = state.record(container.name);
  if (hasStarted || current?.end?.reason === "StartError") wishes.again = true;
  if (newFailure?.retryAt !== undefined) wishes.in(newFailure.retryAt - context.clock.now());
  return hasStarted;
}

/** Milliseconds this start has to wait; 0 = it goes ahead, and the next one will wait longer (doBackOff). */
function crashBackoff({ context, state }: Pass, container: Container): number {
  const record = state.record(container.name);
  const end = record.current?.end;
  if (end === undefined || record.isBeingReplaced) return 0;
  const key = JSON.stringify([container.name, container.image, container.resources]);
  const entry = state.crashBackoff.get(key);
  const now = context.clock.now();
  const leftMs = backoffLeft(entry, end.finishedAt, now);
  if (leftMs === 0) {
    state.crashBackoff.set(key, nextBackoff(entry, { finishedAt: end.finishedAt, now }, context.backoff));
    return 0;
  }
  const pod = describePod(state.pod);
  const delay = goDuration(entry?.delayMs ?? leftMs);
  record.failure = {
    reason: "CrashLoopBackOff",
    message: `back-off ${delay} restarting failed container=${container.name} pod=${pod}`,
  };
  const instance = record.current?.id ?? "";
  if (record.reportedBackoffOf !== instance) {
    record.reportedBackoffOf = instance;
    const message = `Back-off restarting failed container ${container.name} in pod ${pod}`;
    const about = { pod: state.pod, name: container.name };
    containerEvent(context.recorder, about, { type: "Warning", reason: "BackOff", message });
  }
  return leftMs;
}

function beginReplacement({ context, state }: Pass, { name, message }: ContainerToKill): void {
  const record = state.record(name);
  if (record.running === undefined || record.stopping !== undefined) return;
  containerEvent(context.recorder, { pod: state.pod, name }, { type: "Normal", reason: "Killing", message });
  record.isBeingReplaced = true;
  record.stopping = { isKilled: false, graceMs: (state.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000 };
}
