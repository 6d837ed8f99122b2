/** What a probe has found out so far, as pure functions after the kubelet's prober worker (doProbe). */
import type { Probe } from "../../../../generated/kubernetes.ts";

export type ProbeKind = "startup" | "liveness" | "readiness";

/** One start of the container. */
export interface ProbedInstance {
  readonly id: string;
  readonly isRunning: boolean;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
}

export interface ProbeState {
  /** The instance that all of this is about. */
  readonly instanceId: string | undefined;
  /** What counts; `undefined` = unknown. */
  readonly result: boolean | undefined;
  /** Nothing more is to be learned of this instance. */
  readonly isOnHold: boolean;
  /** The last outcome, and how often in a row there was the same. */
  readonly lastOutcome: boolean | undefined;
  readonly run: number;
}

/** Before any result (PR7). */
const INITIAL_RESULTS = { startup: undefined, liveness: true, readiness: false } as const;

export function freshState(kind: ProbeKind): ProbeState {
  return {
    instanceId: undefined,
    result: INITIAL_RESULTS[kind],
    isOnHold: false,
    lastOutcome: undefined,
    run: 0,
  };
}

/**
 * Takes notice of the present instance. A new one starts anew, unless an earlier engine knew it: then `kept` is what its
 * status says (PR20).
 */
export function seeInstance(
  state: ProbeState,
  kind: ProbeKind,
  { instance, kept }: { readonly instance: ProbedInstance | undefined; readonly kept?: boolean | undefined },
): ProbeState {
  if (instance === undefined) return state;
  let seen = state;
  if (seen.instanceId !== instance.id) {
    seen = { ...freshState(kind), instanceId: instance.id };
    if (kept === true) seen = { ...seen, result: true, isOnHold: kind === "startup" };
  }
  if (instance.isRunning || seen.result === false) return seen;
  return { ...seen, result: false };
}

/** Whether a tick does anything, time aside (PR5, PR9, PR10). */
export function isProbed(
  state: ProbeState,
  kind: ProbeKind,
  { instance, isStarted }: { readonly instance: ProbedInstance | undefined; readonly isStarted: boolean },
): boolean {
  if (instance?.isRunning !== true || state.isOnHold) return false;
  return kind === "startup" ? !isStarted : isStarted;
}

/** `initialDelaySeconds` are over: the kubelet counts whole seconds since this very instance has started (PR4). */
export function isDelayOver(
  { initialDelaySeconds = 0 }: Probe,
  { startedAt }: ProbedInstance,
  now: number,
): boolean {
  return Math.floor((now - startedAt) / 1000) >= initialDelaySeconds;
}

/** Takes in an outcome; `undefined` = an error, which changes nothing (PR8, PR14). */
export function afterOutcome(
  state: ProbeState,
  kind: ProbeKind,
  { probe, outcome }: { readonly probe: Probe; readonly outcome: boolean | undefined },
): ProbeState {
  if (outcome === undefined) return state;
  const run = state.lastOutcome === outcome ? state.run + 1 : 1;
  const threshold = outcome ? probe.successThreshold || 1 : probe.failureThreshold || 3;
  const counted = { ...state, lastOutcome: outcome, run };
  if (run < threshold) return counted;
  const isFinal = kind === "startup" || (kind === "liveness" && !outcome);
  return isFinal ? { ...counted, result: outcome, isOnHold: true, run: 0 } : { ...counted, result: outcome };
}

/** Ticks of one probe: every `periodMs` since `origin`, monotonic milliseconds. */
export interface Ticker {
  readonly origin: number;
  readonly periodMs: number;
}

/** The first tick at `from` or later. */
export function tickAtOrAfter({ origin, periodMs }: Ticker, from: number): number {
  return origin + Math.max(0, Math.ceil((from - origin) / periodMs)) * periodMs;
}

/** The first tick later than `after`. */
export function tickAfter({ origin, periodMs }: Ticker, after: number): number {
  return origin + Math.max(0, Math.floor((after - origin) / periodMs) + 1) * periodMs;
}
