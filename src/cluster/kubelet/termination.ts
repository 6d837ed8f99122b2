/** How a pod stops: who gets a signal when, with one shared grace period (kubelet killContainersWithSyncResult). */
import type { PodSpec } from "../../../generated/kubernetes.ts";
import { isSidecar } from "../../k8s/pod.ts";

/** Everybody has at least this long between the stop signal and SIGKILL. */
const MINIMUM_GRACE_MS = 2000;

/** A container that was running when the termination began, or that is being stopped. Times are monotonic milliseconds. */
export interface StoppingContainer {
  readonly name: string;
  /** It may have ended before its turn, or while its hook goes on: others wait for both all the same. */
  readonly hasEnded: boolean;
  /** Its preStop hook is still running; the signal waits for it within the grace period. */
  readonly isHookRunning: boolean;
  readonly signaledAt?: number;
  readonly isKilled: boolean;
}

export interface Termination {
  /** When the present grace period began: a shortened one begins anew. */
  readonly begunAt: number;
  readonly graceMs: number;
}

export interface TerminationStep {
  /** Send the stop signal now. */
  readonly signal: readonly string[];
  /** Send SIGKILL now. */
  readonly kill: readonly string[];
  readonly isDone: boolean;
  /** Milliseconds until time alone changes something; absent = only an exit does. */
  readonly wakeInMs?: number;
}

/** The next step of stopping a pod. Pure: asked again after every exit, hook and timer. */
export function terminationStep(
  spec: PodSpec,
  { begunAt, graceMs }: Termination,
  state: { readonly containers: readonly StoppingContainer[]; readonly now: number },
): TerminationStep {
  const { containers, now } = state;
  const budgetEndsAt = begunAt + graceMs;
  const queue = stopQueue(spec, containers, now >= budgetEndsAt);
  const signal: string[] = [];
  const kill: string[] = [];
  const wakeAts: number[] = [];
  for (const container of containers) {
    if (container.hasEnded) {
      if (container.isHookRunning && now < budgetEndsAt) wakeAts.push(budgetEndsAt);
    } else if (container.signaledAt !== undefined) {
      const killAt = killDeadline(container.signaledAt, { begunAt, graceMs });
      if (container.isKilled) continue;
      if (now >= killAt) kill.push(container.name);
      else wakeAts.push(killAt);
    } else if (queue.isTurn(container)) {
      signal.push(container.name);
      wakeAts.push(killDeadline(now, { begunAt, graceMs }));
    } else wakeAts.push(budgetEndsAt);
  }
  const wakeAt = Math.min(...wakeAts);
  return {
    signal,
    kill,
    isDone: containers.every(queue.isOver),
    ...(Number.isFinite(wakeAt) ? { wakeInMs: Math.max(0, wakeAt - now) } : {}),
  };
}

/** What is left of the budget when the signal goes out, at least two seconds after it. */
function killDeadline(signaledAt: number, { begunAt, graceMs }: Termination): number {
  return Math.max(begunAt + graceMs, signaledAt + MINIMUM_GRACE_MS);
}

interface StopQueue {
  /** Its hook has ended, and everybody it has to wait for is over. */
  readonly isTurn: (container: StoppingContainer) => boolean;
  /** It has ended, and its turn had come. */
  readonly isOver: (container: StoppingContainer) => boolean;
}

/**
 * Each sidecar waits for all main containers and for the next sidecar after it, everybody else for nobody
 * (newTerminationOrdering). When the grace period is over, nobody waits for anything.
 */
function stopQueue(
  { initContainers = [], containers: mains }: PodSpec,
  containers: readonly StoppingContainer[],
  isBudgetOver: boolean,
): StopQueue {
  const sidecars = initContainers.filter(isSidecar).map(({ name }) => name);
  const isTurn = (container: StoppingContainer): boolean => {
    if (isBudgetOver) return true;
    if (container.isHookRunning) return false;
    const place = sidecars.indexOf(container.name);
    if (place < 0) return true;
    const before = new Set([...mains.map(({ name }) => name), sidecars[place + 1]]);
    return containers.every((other) => !before.has(other.name) || isOver(other));
  };
  const isOver = (container: StoppingContainer): boolean => container.hasEnded && isTurn(container);
  return { isTurn, isOver };
}

/** The termination after a wish for `graceSeconds`: never later than what was promised before. */
export function shortened(current: Termination | undefined, graceSeconds: number, now: number): Termination {
  const graceMs = Math.max(0, graceSeconds) * 1000;
  if (current === undefined) return { begunAt: now, graceMs };
  const left = current.begunAt + current.graceMs - now;
  return left <= graceMs ? current : { begunAt: now, graceMs };
}
