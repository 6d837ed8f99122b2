/** One pass over a pod that is meant to run: applies what `computePodActions` decides (kubelet SyncPod). */
import type { Container } from "../../../generated/kubernetes.ts";
import { isSidecar } from "../../k8s/pod.ts";
import { rejectPod } from "./admission.ts";
import { crashBackoff } from "./crash-loop.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { computePodActions, type PodActions } from "./pod-actions.ts";
import { prepareSandbox } from "./prepare-sandbox.ts";
import type { PodState } from "./pod-state.ts";
import { startContainer } from "./start-container.ts";
import { beginCompletion, beginStop, deadlineLeft, driveStops, isStopping } from "./stop-container.ts";
import { lacksVolumes } from "./volumes/pod-volumes.ts";
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
    beginCompletion(context, state);
    return { again: true };
  }
  for (const kill of actions.kill) beginStop(pass, kill);
  driveStops(pass);
  if (actions.createSandbox || lacksVolumes(state.pod, state.volumes)) {
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
  const { ephemeralContainers = [], initContainers = [], containers } = pass.state.pod.spec;
  for (const index of actions.startEphemeral) {
    const container = ephemeralContainers[index];
    if (container !== undefined) await startOne(pass, container, wishes);
  }
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
  const record = state.record(container.name);
  if (isStopping(record)) return false;
  const { failure } = record;
  const waitMs = (failure?.retryAt ?? 0) - context.clock.monotonic();
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
  });
  const { failure: newFailure, current } = record;
  if (hasStarted || current?.end?.reason === "StartError") wishes.again = true;
  if (newFailure?.retryAt !== undefined) wishes.in(newFailure.retryAt - context.clock.monotonic());
  return hasStarted;
}
