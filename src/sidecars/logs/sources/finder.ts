/** Looks for files that the patterns match, and watches the folders in which they may appear. */
import type { Stats } from "node:fs";
import type { FolderWatch, Host } from "../../../kernel/host.ts";
import { excluder, parseGlob, type Pattern } from "./glob.ts";
import { inodeOf } from "./identity.ts";
import { Pause } from "./pause.ts";
import { matchesNothing, tooManyFiles, unreadable } from "./trouble.ts";
import { walk } from "./walk.ts";

/** A file under all the names that match. */
export interface Found {
  readonly path: string;
  readonly stats: Stats;
  readonly names: readonly string[];
  readonly isLinked: boolean;
}

export interface FinderOptions {
  readonly patterns: readonly string[];
  /** Patterns of files of our own, of which there may be none. */
  readonly ownPatterns: readonly string[];
  readonly exclude: readonly string[];
  /** Never left out. */
  readonly isOurs: (path: string) => boolean;
  readonly host: Host;
  /** A folder has changed: the name in it, or undefined when anything may have. */
  readonly changed: (folder: string, name: string | undefined) => void;
}

/** Far beyond what makes sense: each is looked at again and again. */
const MOST_FILES = 100_000;
/** Entries looked at in one go: about 2 ms. */
const SLICE = 400;
const PER_FOLDER = 20;
/** A native sidecar starts before the application whose files it reads, and rotation takes files away for a moment. */
const PATIENCE_MS = 10_000;

export class Finder {
  readonly #options: FinderOptions;
  readonly #patterns: readonly Pattern[];
  readonly #isExcluded: (path: string) => boolean;
  readonly #watches = new Map<string, FolderWatch>();
  #troubles: unknown[] = [];
  /** Since when patterns have had no file. */
  #missing = new Map<string, number>();
  readonly #matchers: readonly Bun.Glob[];

  constructor(options: FinderOptions) {
    this.#options = options;
    this.#patterns = [...options.patterns, ...options.ownPatterns].flatMap(parseGlob);
    this.#matchers = [...options.patterns, ...options.ownPatterns].map((pattern) => new Bun.Glob(pattern));
    const isExcluded = excluder(options.exclude);
    this.#isExcluded = (path) => isExcluded(path) && !options.isOurs(path);
  }

  /** As of the last search: what could not be looked at, patterns that have had no file for a while. */
  get troubles(): readonly unknown[] {
    const patient = this.#options.host.monotonic() - PATIENCE_MS;
    const missing = [...this.#missing].filter(([, since]) => since <= patient);
    return [...this.#troubles, ...missing.map(([pattern]) => matchesNothing(pattern))];
  }

  /** Whether a path is one that is read. */
  matches(path: string): boolean {
    return !this.#isExcluded(path) && this.#matchers.some((glob) => glob.match(path));
  }

  /** All files, by inode. Watches every folder that matters from now on. */
  async find(): Promise<Map<string, Found>> {
    const found = new Map<string, { path: string; stats: Stats; names: string[]; isLinked: boolean }>();
    const refused = new Map<string, unknown>();
    const folders = new Set<string>();
    const missing = new Map<string, number>();
    for (const pattern of this.#options.patterns)
      missing.set(pattern, this.#missing.get(pattern) ?? this.#options.host.monotonic());
    let names = 0;
    const pause = new Pause(SLICE);
    for (const pattern of this.#patterns) {
      const visitor = {
        file: (path: string, stats: Stats, isLinked: boolean) => {
          if (this.#isExcluded(path) || names >= MOST_FILES) return;
          pause.add(1);
          missing.delete(pattern.text);
          const known = found.get(inodeOf(stats));
          if (known === undefined) found.set(inodeOf(stats), { path, stats, names: [path], isLinked });
          else if (!known.names.includes(path)) known.names.push(path);
          names++;
        },
        folder: (path: string) => {
          if (folders.has(path)) return;
          folders.add(path);
          this.#watch(path);
        },
        refused: (path: string, error: unknown) => void refused.set(path, unreadable(path, error)),
      };
      for (const _ of walk(pattern, visitor)) {
        pause.add(PER_FOLDER);
        await pause.take();
      }
    }
    this.#unwatch(folders);
    this.#troubles = [...refused.values()];
    this.#missing = missing;
    if (names >= MOST_FILES) this.#troubles.push(tooManyFiles(MOST_FILES));
    return found;
  }

  close(): void {
    this.#unwatch(new Set());
  }

  #watch(folder: string): void {
    if (this.#watches.has(folder)) return;
    const { host, changed } = this.#options;
    this.#watches.set(
      folder,
      host.watchFolder(folder, (name) => changed(folder, name)),
    );
  }

  #unwatch(kept: ReadonlySet<string>): void {
    for (const [folder, watch] of this.#watches) {
      if (kept.has(folder)) continue;
      watch.close();
      this.#watches.delete(folder);
    }
  }
}
