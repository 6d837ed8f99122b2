/** What the doors to a running Pillion (admin port, control socket, commands) may see and ask of it. */
import type { DeadLetters } from "../kernel/dead-letters.ts";
import type { Gate, HealthState } from "../kernel/health.ts";
import type { Undelivered } from "../kernel/sidecar.ts";

/** Where a sidecar stands: it is tried again from `backing-off`, and `ended` is for good. */
export type SidecarState = "starting" | "running" | "backing-off" | "finishing" | "ended";

/** Why a sidecar is not well, for people and scripts. */
export interface Cause {
  /** Of the `Problem`, else `E_UNEXPECTED`. */
  readonly code: string;
  readonly message: string;
  readonly fix?: string;
}

/** One sidecar in `/status`. Plain JSON. */
export interface SidecarStatus {
  readonly name: string;
  readonly kind: string;
  readonly state: SidecarState;
  readonly health: HealthState;
  readonly gate: Gate;
  /** Absent while it is ready. */
  readonly cause?: Cause;
  /** How often it was started again since the process began. */
  readonly restarts: number;
  /** When its health last changed, RFC 3339. */
  readonly since: string;
  /** Absent where the sidecar does not say or is not running. */
  readonly undelivered?: Undelivered;
  /** What the sidecar itself tells of its inner life. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** How the configuration in use came about. */
export interface ConfigStatus {
  /** When the configuration in use was read, RFC 3339. */
  readonly loadedAt: string;
  /** Why the file as it is now is not in use; the last good one is. */
  readonly rejected?: Cause & { readonly at: string };
  /** Keys that differ from those in use and wait for a restart of the process, such as `admin.port`. */
  readonly needRestart: readonly string[];
}

/** `running`: works. `hurrying`: the pod has begun to end. `finishing`: told to end. `ended`: nothing runs any more. */
export type RuntimePhase = "running" | "hurrying" | "finishing" | "ended";

/** The answer of `/status`. Plain JSON, no secrets, no content of records. */
export interface RuntimeStatus {
  readonly version: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly phase: RuntimePhase;
  readonly config: ConfigStatus;
  /** Watches of folders that the kernel refused; their changes are seen by polling only. */
  readonly polledFolders: number;
  /** In the order of the file; sidecars that a reload took out follow while they finish. */
  readonly sidecars: readonly SidecarStatus[];
}

/** The answer to a probe: `because` names every sidecar that hinders, one short line each; empty when `isOk`. */
export interface ProbeAnswer {
  readonly isOk: boolean;
  readonly because: readonly string[];
}

/** How a reload went. */
export type ReloadOutcome =
  | {
      readonly outcome: "applied";
      /** Names of sidecars that were started, restarted and stopped. */
      readonly started: readonly string[];
      readonly restarted: readonly string[];
      readonly stopped: readonly string[];
      /** As in `ConfigStatus`. */
      readonly needRestart: readonly string[];
    }
  /** The file says what is already so. */
  | { readonly outcome: "unchanged"; readonly needRestart: readonly string[] }
  /** The file cannot be used; `problem` is what the reader threw. */
  | { readonly outcome: "rejected"; readonly problem: unknown }
  /** The process is ending. */
  | { readonly outcome: "too-late" };

export interface PrestopOptions {
  /** What is left of the pod's grace period, in milliseconds, where the caller knows. */
  readonly graceMs?: number;
}

export interface RuntimeView {
  status(): RuntimeStatus;
  /** The event loop answers. */
  isLive(): ProbeAnswer;
  /** Every sidecar that gates the start has succeeded once, and every other one has been tried. */
  isStarted(): ProbeAnswer;
  /** No sidecar that gates traffic is failing. */
  isReady(): ProbeAnswer;
  /** Prometheus text format 0.0.4, `text/plain; version=0.0.4; charset=utf-8`. */
  metricsText(): string;
  /** The pod has begun to end: hurry. Again is harmless. */
  prestop(options?: PrestopOptions): void;
  /** As SIGTERM: the first finishes, the second ends at once. The process exits afterwards. */
  quit(): void;
  /** Reads the file now. Reloads never overlap; one that is asked for meanwhile follows. */
  reload(): Promise<ReloadOutcome>;
  /** Of the sidecar's present run; undefined where it has none, is not running or is unknown. */
  deadLetters(name: string): DeadLetters | undefined;
}
