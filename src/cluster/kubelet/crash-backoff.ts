/** How long a container that ended has to wait for its next start (client-go flowcontrol.Backoff, kubelet doBackOff). */

/** Milliseconds. Moments are monotonic: a wall clock that jumps changes no back-off. */
export interface BackoffLimits {
  readonly initialMs: number;
  readonly maxMs: number;
}

export interface BackoffEntry {
  readonly delayMs: number;
  /** When the last start was decided. */
  readonly decidedAt: number;
}

const INITIAL_MS = 10_000;
const MAX_MS = 300_000;
/** A container that ran longer than this starts at once again; fixed, also when the maximum is lower. */
const RESET_AFTER_MS = 600_000;

/** Limits for crash loops; a maximum below ten seconds is the first delay, too (KEP-5593). */
export function backoffLimits(maxMs: number = MAX_MS): BackoffLimits {
  return { initialMs: Math.min(INITIAL_MS, maxMs), maxMs };
}

/** Milliseconds left to wait, counted from the moment the container ended; never more than the delay. */
export function backoffLeft(entry: BackoffEntry | undefined, endedAt: number, now: number): number {
  if (entry === undefined || hasExpired(entry, endedAt)) return 0;
  return Math.max(0, Math.min(entry.delayMs, endedAt + entry.delayMs - now));
}

/** The entry after deciding to start now. */
export function nextBackoff(
  entry: BackoffEntry | undefined,
  at: { readonly endedAt: number; readonly now: number },
  limits: BackoffLimits,
): BackoffEntry {
  const isFresh = entry === undefined || hasExpired(entry, at.endedAt);
  const delayMs = isFresh ? limits.initialMs : Math.min(entry.delayMs * 2, limits.maxMs);
  return { delayMs, decidedAt: at.now };
}

function hasExpired({ decidedAt }: BackoffEntry, endedAt: number): boolean {
  return endedAt - decidedAt > RESET_AFTER_MS;
}

/** Go's `time.Duration` notation for whole seconds and milliseconds: `10s`, `1m20s`, `5m0s`, `1.5s`. */
export function goDuration(ms: number): string {
  const rounded = Math.round(ms);
  if (rounded === 0) return "0s";
  if (rounded < 1000) return `${rounded}ms`;
  const hours = Math.floor(rounded / 3_600_000);
  const minutes = Math.floor((rounded % 3_600_000) / 60_000);
  const seconds = `${(rounded % 60_000) / 1000}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
