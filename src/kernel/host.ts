/** Everything a sidecar may touch outside itself. Tests pass a fake; nothing in `sidecars/` reads a clock, env or global fetch. */
import type { Clock } from "./clock.ts";
import type { Health } from "./health.ts";

/** Pillion's own log, one event per call. `fields` are plain JSON and never hold secrets or the content of records. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** The pod that we run in, as far as the environment and the downward API tell. */
export interface PodIdentity {
  readonly name: string | undefined;
  readonly namespace: string | undefined;
  readonly uid: string | undefined;
  readonly node: string | undefined;
  readonly ip: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** Where a secret is kept. It is read anew at each use, so that a rotated one is picked up; it never stands in the file itself. */
export type SecretSource = { readonly file: string } | { readonly env: string };

export interface FolderWatch {
  /** False where the kernel had no watch left (`fs.inotify.max_user_watches`): only polling sees changes then. */
  readonly isLive: boolean;
  close(): void;
}

export interface Host extends Clock {
  /** Resolves true after `ms`, false as soon as the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<boolean>;
  /** The process's one HTTP client. Follows no redirect, decompresses nothing that was not asked for, sets no time limit: pass a signal. */
  fetch(url: string | URL, init?: RequestInit): Promise<Response>;
  /** Replaces a file in one step; the mode is right from the first byte. Errors are the file system's. */
  writeFileAtomic(path: string, data: string | Uint8Array, mode: number): Promise<void>;
  /** Rejects with a `Problem` that names the place, never the content. Surrounding white space is taken off. */
  readSecret(source: SecretSource): Promise<string>;
  /**
   * Calls back with the name of an entry that was created, changed, renamed or removed in the folder; undefined means
   * anything may have happened. Not recursive. Events may be lost: always poll as well, rarely. All sidecars share one
   * inotify instance. Throws nothing: a folder that cannot be watched gives `isLive: false`.
   */
  watchFolder(path: string, changed: (name: string | undefined) => void): FolderWatch;
  /** Writes to the container's standard output, whole, in order with other calls; resolves when the reader's pipe has it. */
  writeStdout(data: Uint8Array): Promise<void>;
  /** Tells how the sidecar is from now on. Cheap to call again with the same state. */
  report(health: Health): void;
  readonly log: Log;
  readonly pod: PodIdentity;
  /** This sidecar's own folder, mode 0700; made before `start` and kept across restarts of the container where the state folder is. */
  readonly stateFolder: string;
}
