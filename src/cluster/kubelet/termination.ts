/** How a pod stops: who gets a signal when, with one shared grace period (kubelet killContainersWithSyncResult). */
import type { PodSpec } from "../../../generated/kubernetes.ts";
import { isSidecar } from "../../k8s/pod.ts";

/** Everybody has at least this long between the stop signal and SIGKILL. */
const MINIMUM_GRACE_MS = 2000;

/** A container that was running when the termination began, or that is being stopped. Times are monotonic milliseconds. */
export interface StoppingContainer {
  readonly name: string;
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
  const alive = containers.filter(({ hasEnded }) => !hasEnded);
  const budgetEndsAt = begunAt + graceMs;
  const signal: string[] = [];
  const kill: string[] = [];
  const wakeAts: number[] = [];
  for (const container of alive) {
    if (container.signaledAt !== undefined) {
      const killAt = killDeadline(container.signaledAt, { begunAt, graceMs });
      if (container.isKilled) continue;
      if (now >= killAt) kill.push(container.name);
      else wakeAts.push(killAt);
    } else if (now >= budgetEndsAt || isTurn(spec, container, alive)) {
      signal.push(container.name);
      wakeAts.push(killDeadline(now, { begunAt, graceMs }));
    } else wakeAts.push(budgetEndsAt);
  }
  const wakeAt = Math.min(...wakeAts);
  return {
    signal,
    kill,
    isDone: alive.length === 0,
    ...(Number.isFinite(wakeAt) ? { wakeInMs: Math.max(0, wakeAt - now) } : {}),
  };
}

/** What is left of the budget when the signal goes out, at least two seconds after it. */
function killDeadline(signaledAt: number, { begunAt, graceMs }: Termination): number {
  return Math.max(begunAt + graceMs, signaledAt + MINIMUM_GRACE_MS);
}

/** Main and plain init containers go first; each sidecar waits for all of them and for the sidecars after it. */
function isTurn(spec: PodSpec, container: StoppingContainer, alive: readonly StoppingContainer[]): boolean {
  if (container.isHookRunning) return false;
  const sidecars = (spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
  const place = sidecars.indexOf(container.name);
  if (place < 0) return true;
  const mains = spec.containers.map(({ name }) => name);
  const before = new Set([...mains, ...sidecars.slice(place + 1)]);
  return alive.every(({ name }) => !before.has(name));
}

/**
 * The termination after a wish for `graceSeconds`: at least one second, and never later than what was promised before
 * (pod_workers calculateEffectiveGracePeriod).
 */
export function shortened(current: Termination | undefined, graceSeconds: number, now: number): Termination {
  const graceMs = Math.max(1, graceSeconds) * 1000;
  if (current === undefined) return { begunAt: now, graceMs };
  const left = current.begunAt + current.graceMs - now;
  return left <= graceMs ? current : { begunAt: now, graceMs };
}
