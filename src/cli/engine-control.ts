/** What the command line needs of the engine process; `src/bin` knows how to start one. */
import type { StateFolder } from "./state-folder.ts";

export interface EngineOptions {
  readonly folder: StateFolder;
  /** Survives the command that started it (`-d`). */
  readonly detached: boolean;
  /** Pods outlive it, however it ends (`--keep`). */
  readonly keep: boolean;
  /** 0 = any free port. */
  readonly port: number;
  /** Image map files, most important first. */
  readonly imageMaps: readonly string[];
  /** Folders of this machine that `hostPath` volumes may reach. */
  readonly hostPaths: readonly string[];
  readonly allowPrivileged: boolean;
  /** Longest wait between restarts of a crashing container; 300 seconds when absent. */
  readonly maxRestartPeriodMs?: number;
}

export interface StartedEngine {
  readonly port: number;
  /** Sentences about what this machine cannot do for pods. */
  readonly limits: readonly string[];
  readonly tier: string;
  /** How many pods of an earlier engine go on. */
  readonly adopted: number;
  /** Resolves with the exit code when the engine ends, by whatever cause. */
  readonly exited: Promise<number>;
}

/** One request to the image store of a cluster that is not running; the answer is what the running one would say. */
export interface ImageCall {
  readonly method: "GET" | "POST" | "DELETE";
  /** Below `/pillion/v1/`, with its query. */
  readonly path: string;
  readonly body?: unknown;
}

export interface EngineControl {
  /** Resolves when the API answers. Rejects with the engine's own `Problem`. */
  start(options: EngineOptions): Promise<StartedEngine>;
  /** True when pods of an engine that has ended go on, and the next one takes them over. */
  hasKeptPods(folder: StateFolder): Promise<boolean>;
  /** Ends what a killed engine has left behind, and deletes objects and volumes unless `keepState`. */
  clean(folder: StateFolder, options: { readonly keepState: boolean }): Promise<void>;
  /** Lines of newline-delimited JSON. */
  callImages(folder: StateFolder, call: ImageCall): AsyncIterable<string>;
}
