/**
 * Watches folders for the whole process with one inotify instance, of which a node has 128 per user; where the kernel has no
 * watch left, it says so instead of failing, and tries again.
 */
import { type FSWatcher, statSync, watch } from "node:fs";
import { stat } from "node:fs/promises";
import type { Clock } from "../kernel/clock.ts";
import type { FolderWatch } from "../kernel/host.ts";

/** Events within this time are told together. */
const BURST_MS = 10;
/** More names than these in one burst, and listeners are told that anything may have happened. */
const MAX_NAMES = 64;
/** How often watches are held against the folders that are at their paths now. */
const CHECK_MS = 10_000;

type Listener = (name: string | undefined) => void;

export class FolderWatches {
  readonly #clock: Clock;
  readonly #blame: (thrown: unknown) => void;
  readonly #watched = new Map<string, WatchedFolder>();
  #cancelCheck: (() => void) | undefined;

  /** `blame` hears of listeners that throw. */
  constructor(clock: Clock, blame: (thrown: unknown) => void) {
    this.#clock = clock;
    this.#blame = blame;
  }

  get total(): number {
    return this.#watched.size;
  }

  /** Folders whose changes are seen by polling only. */
  get polled(): number {
    let count = 0;
    for (const folder of this.#watched.values()) if (!folder.isLive) count += 1;
    return count;
  }

  watch(path: string, changed: Listener): FolderWatch {
    let folder = this.#watched.get(path);
    if (folder === undefined) {
      folder = new WatchedFolder(path, this.#clock, this.#blame);
      this.#watched.set(path, folder);
    }
    const watched = folder;
    const listener: Listener = (name) => changed(name);
    watched.listeners.add(listener);
    this.#checkLater();
    return {
      get isLive() {
        return watched.isLive;
      },
      close: () => {
        if (!watched.listeners.delete(listener) || watched.listeners.size > 0) return;
        watched.close();
        this.#watched.delete(path);
        if (this.#watched.size === 0) this.#endChecks();
      },
    };
  }

  #checkLater(): void {
    this.#cancelCheck ??= this.#clock.schedule(CHECK_MS, () => {
      void this.#check();
    });
  }

  #endChecks(): void {
    this.#cancelCheck?.();
    this.#cancelCheck = undefined;
  }

  async #check(): Promise<void> {
    for (const folder of this.#watched.values()) await folder.check();
    this.#cancelCheck = undefined;
    if (this.#watched.size > 0) this.#checkLater();
  }
}

class WatchedFolder {
  readonly listeners = new Set<Listener>();
  readonly #path: string;
  readonly #clock: Clock;
  readonly #blame: (thrown: unknown) => void;
  #watcher: FSWatcher | undefined;
  /** Device and inode of the folder that the watch is on. */
  #identity = "";
  #names = new Set<string | undefined>();
  #cancelTelling: (() => void) | undefined;
  #isClosed = false;

  constructor(path: string, clock: Clock, blame: (thrown: unknown) => void) {
    this.#path = path;
    this.#clock = clock;
    this.#blame = blame;
    this.#open();
  }

  get isLive(): boolean {
    return this.#watcher !== undefined;
  }

  /** The folder may have been replaced by another one, which no event tells; or a watch may have become free. */
  async check(): Promise<void> {
    const found = await stat(this.#path).then(identityOf, () => undefined);
    if (this.#isClosed || (this.isLive && found === this.#identity)) return;
    const wasLive = this.isLive;
    this.#drop();
    if (found !== undefined) this.#open();
    if (wasLive || this.isLive) this.#note(undefined);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTelling?.();
    this.#drop();
  }

  #open(): void {
    try {
      const watcher = watch(this.#path, { persistent: false }, (_, name) => this.#note(name ?? undefined));
      this.#watcher = watcher;
      watcher.on("error", () => {
        if (this.#watcher !== watcher) return;
        this.#drop();
        this.#note(undefined);
      });
      this.#identity = identityOf(statSync(this.#path));
    } catch {
      this.#drop(); // Not there, not readable or no watch left (ENOSPC, EMFILE): `isLive` says it.
    }
  }

  #drop(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #note(name: string | undefined): void {
    if (this.#isClosed) return;
    if (this.#names.size <= MAX_NAMES) this.#names.add(name);
    this.#cancelTelling ??= this.#clock.schedule(BURST_MS, () => this.#tell());
  }

  #tell(): void {
    this.#cancelTelling = undefined;
    const names = this.#names;
    this.#names = new Set();
    const told = names.size > MAX_NAMES || names.has(undefined) ? [undefined] : names;
    for (const listener of this.listeners) {
      for (const name of told) {
        if (!this.listeners.has(listener)) break;
        try {
          listener(name);
        } catch (thrown) {
          this.#blame(thrown);
        }
      }
    }
  }
}

function identityOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}
