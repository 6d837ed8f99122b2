/** Opens the cluster's state. */
import type { Clock } from "../../kernel/clock.ts";
import { openObjectLog } from "./object-log.ts";
import { ObjectStore } from "./object-store.ts";
import type { ResourceLookup } from "./resource-lookup.ts";
import type { Store } from "./store.ts";

const HISTORY_LIMIT = 10_000;

export interface StoreOptions {
  /** The database file, created if missing (its folder is not); `:memory:` for a state that ends with the process. */
  readonly path: string;
  readonly clock: Clock;
  /** What is served, and how; `resourceOf` of the catalogue fits. */
  readonly resources: ResourceLookup;
  /** How many changes a watch or a continued list can look back. @default {10_000} */
  readonly historyLimit?: number;
  /**
   * The version counter of a new file. By default the time in milliseconds: a client that has outlived an earlier cluster
   * then holds a version from before this one and is told `Expired`, instead of waiting for, or believing in, its old count.
   */
  readonly firstVersion?: number;
}

/** Throws `Problem` (`E_STORE_UNREADABLE`, `E_STORE_IN_USE`, `E_STORE_NEWER`, `E_STORE_CORRUPT`). */
export function openStore({ path, clock, resources, ...options }: StoreOptions): Store {
  const log = openObjectLog(path, options.firstVersion ?? clock.now());
  try {
    return new ObjectStore({ log, clock, resources, historyLimit: options.historyLimit ?? HISTORY_LIMIT });
  } catch (error) {
    log.close();
    throw error;
  }
}
