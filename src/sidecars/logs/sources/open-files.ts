/** Reads all files that patterns match, from now on, as one stream of chunks. */
import type { Host } from "../../../kernel/host.ts";
import type { CheckpointStore } from "../delivery/delivery.ts";
import { Catalog } from "./catalog.ts";
import type { Chunk, ChunkSource, FileProgress } from "./chunk.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { Descriptors } from "./descriptors.ts";
import { type FileEvents, noEvents } from "./file-events.ts";
import { Finder } from "./finder.ts";
import { readPart } from "./identity.ts";
import type { LogFile } from "./log-file.ts";
import { Keeper, PACE, type Pace } from "./keeper.ts";
import { RecentBytes } from "./recent-bytes.ts";
import { Completeness } from "./siblings.ts";
import type { Spooled } from "./spooled.ts";
import { Tidy } from "./tidy.ts";
import { Tracker } from "./tracker.ts";
import { damagedGzip } from "./trouble.ts";
import { Turns } from "./turns.ts";
import { Upkeep } from "./upkeep.ts";
import { Waker } from "./waker.ts";

export interface FilesOptions {
  readonly patterns: readonly string[];
  readonly exclude: readonly string[];
  readonly readFrom: "beginning" | "end";
  readonly maxLineBytes: number;
  readonly checkpoints: CheckpointStore;
  readonly host: Host;
  /** Reads what there is, then ends. */
  readonly isOnce?: boolean;
  readonly rotate?: { readonly size: number; readonly by: "rename" | "hole" } | undefined;
  readonly remove?: { readonly after: number } | undefined;
  /** Files of ours that hold what cannot be read twice; read in the order of their names, removed when delivered. */
  readonly spooled?: readonly Spooled[];
  readonly events?: Partial<FileEvents>;
  readonly pace?: Partial<Pace>;
  /** How many files may be open; derived from the process's own limit. */
  readonly mostOpen?: number;
}

/** Begins at once. Throws nothing: what hinders it is told by `troubles`. */
export function openFiles(options: FilesOptions): ChunkSource {
  return new FileSource(options);
}

class FileSource implements ChunkSource {
  readonly #host: Host;
  readonly #catalog: Catalog;
  readonly #descriptors: Descriptors;
  readonly #finder: Finder;
  readonly #upkeep: Upkeep;
  readonly #turns: Turns;
  readonly #keeper: Keeper;
  readonly #waker: Waker;
  readonly #running: Promise<void>;
  #bug: unknown;

  constructor(options: FilesOptions) {
    const { host, checkpoints, maxLineBytes, rotate, remove, spooled = [] } = options;
    const pace = { ...PACE, ...options.pace };
    const events = { ...noEvents, ...options.events };
    const { quietMs } = pace;
    const monotonic = (): number => host.monotonic();
    const spools = spooled.map((spool) => ({ spool, glob: new Bun.Glob(spool.pattern) }));
    const spoolOf = (path: string) => spools.find(({ glob }) => glob.match(path))?.spool;
    const isSpooled = (path: string): boolean => spoolOf(path) !== undefined;
    const isClosed = (path: string): boolean => spoolOf(path)?.isClosed(path) ?? false;
    const originOf = (path: string): string => spoolOf(path)?.origin ?? path;
    const descriptors = new Descriptors(options.mostOpen);
    const recent = new RecentBytes();
    const catalog = new Catalog(checkpoints, descriptors, recent);
    const completeness = new Completeness(host);
    const waker = new Waker(host);
    // `readFrom: end` holds for what is there at the very first start.
    const isFirstStart = checkpoints.all()[Symbol.iterator]().next().done === true;
    const beginningOf = (fd: number, size: number): number =>
      options.readFrom === "end" && isFirstStart && !this.#keeper.hasScanned
        ? lastLine(fd, size, maxLineBytes)
        : 0;
    const tracker = new Tracker({
      catalog,
      descriptors,
      completeness,
      recent,
      events,
      monotonic,
      originOf,
      beginningOf,
      isSerial: isSpooled,
    });
    const finder = new Finder({
      patterns: options.patterns,
      ownPatterns: spooled.map(({ pattern }) => pattern),
      exclude: options.exclude,
      isOurs: isSpooled,
      host,
      changed: (folder, name) => this.#keeper.changed(folder, name),
    });
    const skippedNuls = (bytes: number): void => events.skippedNuls(bytes);
    const reader = new ChunkReader({ maxLine: maxLineBytes, descriptors, recent, skippedNuls, damaged });
    const lost = (): void => this.#keeper.wantScan();
    const turns = new Turns({ host, catalog, reader, waker, quietMs, isClosed, lost });
    const upkeep = new Upkeep({
      rotate,
      remove,
      catalog,
      descriptors,
      events,
      clock: host,
      quietMs,
      isClosed,
    });
    const tidy = new Tidy({ catalog, descriptors, monotonic, quietMs });
    this.#host = host;
    this.#catalog = catalog;
    this.#descriptors = descriptors;
    this.#finder = finder;
    this.#upkeep = upkeep;
    this.#turns = turns;
    this.#waker = waker;
    this.#keeper = new Keeper({
      host,
      pace,
      checkpoints,
      catalog,
      tracker,
      finder,
      completeness,
      turns,
      upkeep,
      tidy,
      originOf,
      progressed: () => waker.wake(),
    });
    if (options.isOnce === true) this.finish();
    this.#running = this.#keeper.run().catch((bug: unknown) => {
      this.#bug = bug;
      this.abandon();
    });
  }

  async next(wakeAfterMs: number): Promise<Chunk | "idle" | undefined> {
    const wakeAt = this.#host.monotonic() + wakeAfterMs;
    for (;;) {
      const chunk = await this.#turns.next();
      if (this.#bug !== undefined) throw this.#bug;
      if (chunk !== undefined) return chunk;
      if (this.#keeper.isDone) return undefined;
      const left = wakeAt - this.#host.monotonic();
      if (left <= 0) return "idle";
      await this.#waker.wait(left);
    }
  }

  finish(): void {
    this.#keeper.finish();
  }

  abandon(): void {
    this.#keeper.stop();
    this.#turns.stop();
    this.#waker.wake();
  }

  *progress(): Iterable<FileProgress> {
    for (const { origin, size, readTo, behindSince, isGone } of this.#catalog.logs)
      if (!isGone) yield { origin, size: Math.max(size, readTo), readTo, behindSince };
  }

  troubles(): readonly unknown[] {
    if (!this.#keeper.hasScanned) return [];
    const troubles = [...this.#finder.troubles, ...this.#upkeep.troubles()];
    for (const { trouble } of this.#catalog.logs) if (trouble !== undefined) troubles.push(trouble);
    return troubles;
  }

  close(): void {
    if (this.#keeper.hasScanned)
      for (const log of this.#catalog.logs) this.#catalog.remember(log, Number.POSITIVE_INFINITY);
    this.abandon();
    this.#finder.close();
    this.#descriptors.closeAll();
    // A scan that is under way may open one more.
    void this.#running.finally(() => {
      this.#finder.close();
      this.#descriptors.closeAll();
    });
  }
}

/** Where the unfinished last line of a file begins. */
function lastLine(fd: number, size: number, maxLineBytes: number): number {
  const from = Math.max(0, size - maxLineBytes);
  return from + Buffer.from(readPart(fd, from, size - from)).lastIndexOf(10) + 1;
}

function damaged(log: LogFile, error: Error): void {
  log.isStuck = true;
  log.trouble = damagedGzip(log.where?.path ?? log.name, error);
}
