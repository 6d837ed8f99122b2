/** Reads all files that patterns match, from now on, as one stream of chunks. */
import { fstatSync } from "node:fs";
import type { Host } from "../../../kernel/host.ts";
import type { CheckpointStore } from "../delivery/delivery.ts";
import { Catalog } from "./catalog.ts";
import type { Chunk, ChunkSource, FileProgress } from "./chunk.ts";
import { ChunkReader, type ReadResult } from "./chunk-reader.ts";
import { Descriptors } from "./descriptors.ts";
import { type FileEvents, noEvents } from "./file-events.ts";
import { Finder } from "./finder.ts";
import { readPart } from "./identity.ts";
import type { LogFile } from "./log-file.ts";
import { Pause } from "./pause.ts";
import { RecentBytes } from "./recent-bytes.ts";
import { resumeFiles } from "./resume.ts";
import { Completeness, statIfThere } from "./siblings.ts";
import type { Spooled } from "./spooled.ts";
import { Tidy } from "./tidy.ts";
import { Tracker } from "./tracker.ts";
import { damagedGzip, unreadable } from "./trouble.ts";
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

/** Milliseconds. */
export interface Pace {
  /** Files that changed lately are looked at so often. */
  readonly pollMs: number;
  /** Everything is looked at so often; less often when there are thousands of files. */
  readonly scanMs: number;
  /** A file without its name is at its end when it has not grown for so long. */
  readonly quietMs: number;
  /** Changes that come within this time are taken together. */
  readonly settleMs: number;
}

const PACE: Pace = { pollMs: 1_000, scanMs: 5_000, quietMs: 5_000, settleMs: 10 };
/** A file counts as active for so long after a change. */
const ACTIVE_MS = 15_000;
/** So many files make the time between two scans one `scanMs` longer. */
const FILES_PER_SCAN = 5_000;
/** Bytes handed out, or files tried at so many bytes each, before others have their turn: about 1 ms of reading. */
const SLICE_BYTES = 256 * 1024;
const PER_READ = 8 * 1024;

/** Begins at once. Throws nothing: what hinders it is told by `troubles`. */
export function openFiles(options: FilesOptions): ChunkSource {
  return new FileSource(options);
}

class FileSource implements ChunkSource {
  readonly #options: FilesOptions;
  readonly #pace: Pace;
  readonly #catalog: Catalog;
  readonly #descriptors: Descriptors;
  readonly #tracker: Tracker;
  readonly #finder: Finder;
  readonly #reader: ChunkReader;
  readonly #upkeep: Upkeep;
  readonly #tidy: Tidy;
  readonly #completeness: Completeness;
  readonly #keeperWaker: Waker;
  readonly #readerWaker: Waker;
  readonly #pause = new Pause(SLICE_BYTES);
  /** Files that may have something to read, in turn. */
  readonly #queue = new Set<LogFile>();
  readonly #touched = new Set<string>();
  readonly #running: Promise<void>;
  #bug: unknown;
  #isFirstScanOver = false;
  #isScanWanted = true;
  #isAfterScan = false;
  #scannedAt = Number.NEGATIVE_INFINITY;
  #polledAt = Number.NEGATIVE_INFINITY;
  #state: "reading" | "finishing" | "ending" | "over" = "reading";
  readonly #isFirstStart: boolean;
  /** The spool that a path belongs to. */
  readonly #spoolOf: (path: string) => Spooled | undefined;
  readonly #ending = new AbortController();

  constructor(options: FilesOptions) {
    this.#options = options;
    const { host, checkpoints, maxLineBytes, rotate, remove } = options;
    const spooled = options.spooled ?? [];
    this.#pace = { ...PACE, ...options.pace };
    const events: FileEvents = { ...noEvents, ...options.events };
    const descriptors = new Descriptors(options.mostOpen);
    const recent = new RecentBytes();
    const catalog = new Catalog(checkpoints, descriptors, recent);
    const monotonic = (): number => host.monotonic();
    this.#descriptors = descriptors;
    this.#catalog = catalog;
    this.#completeness = new Completeness(host);
    const spools = spooled.map((spool) => ({ spool, glob: new Bun.Glob(spool.pattern) }));
    const spoolOf = (path: string) => spools.find(({ glob }) => glob.match(path))?.spool;
    this.#spoolOf = spoolOf;
    this.#isFirstStart = checkpoints.all()[Symbol.iterator]().next().done === true;
    this.#tracker = new Tracker({
      catalog,
      descriptors,
      completeness: this.#completeness,
      recent,
      events,
      monotonic,
      originOf: (path) => spoolOf(path)?.origin ?? path,
      beginningOf: (fd, size) => this.#beginningOf(fd, size),
      isSerial: (path) => spoolOf(path) !== undefined,
    });
    this.#finder = new Finder({
      patterns: options.patterns,
      ownPatterns: spooled.map(({ pattern }) => pattern),
      exclude: options.exclude,
      isOurs: (path) => spoolOf(path) !== undefined,
      host,
      changed: (folder, name) => this.#changed(folder, name),
    });
    this.#reader = new ChunkReader({
      maxLine: maxLineBytes,
      descriptors,
      recent,
      skippedNuls: (bytes) => events.skippedNuls(bytes),
      damaged: (log, error) => {
        log.isStuck = true;
        log.trouble = damagedGzip(log.where?.path ?? log.name, error);
      },
    });
    const { quietMs } = this.#pace;
    const isClosed = (path: string): boolean => spoolOf(path)?.isClosed(path) ?? false;
    this.#upkeep = new Upkeep({
      rotate,
      remove,
      catalog,
      descriptors,
      events,
      clock: host,
      quietMs,
      isClosed,
    });
    this.#tidy = new Tidy({ catalog, descriptors, monotonic, quietMs });
    this.#keeperWaker = new Waker(host);
    this.#readerWaker = new Waker(host);
    if (options.isOnce === true) this.finish();
    this.#running = this.#keep().catch((bug: unknown) => {
      this.#bug = bug;
      this.#state = "over";
      this.#readerWaker.wake();
    });
  }

  async next(wakeAfterMs: number): Promise<Chunk | "idle" | undefined> {
    const { host } = this.#options;
    const wakeAt = host.monotonic() + wakeAfterMs;
    for (;;) {
      await this.#pause.take();
      const chunk = await this.#readNext();
      if (this.#bug !== undefined) throw this.#bug;
      if (chunk !== undefined) return chunk;
      if (this.#isOver()) return undefined;
      const left = wakeAt - host.monotonic();
      if (left <= 0) return "idle";
      await this.#readerWaker.wait(left);
    }
  }

  finish(): void {
    if (this.#state === "reading") this.#state = "finishing";
    this.#completeness.isHasty = true;
    this.#ending.abort();
    this.#keeperWaker.wake();
  }

  abandon(): void {
    this.#state = "over";
    this.#ending.abort();
    this.#readerWaker.wake();
    this.#keeperWaker.wake();
  }

  *progress(): Iterable<FileProgress> {
    for (const { origin, size, readTo, behindSince, isGone } of this.#catalog.logs)
      if (!isGone) yield { origin, size: Math.max(size, readTo), readTo, behindSince };
  }

  troubles(): readonly unknown[] {
    if (!this.#isFirstScanOver) return [];
    const troubles = [...this.#finder.troubles, ...this.#upkeep.troubles()];
    for (const { trouble } of this.#catalog.logs) if (trouble !== undefined) troubles.push(trouble);
    return troubles;
  }

  close(): void {
    if (this.#isFirstScanOver)
      for (const log of this.#catalog.logs) this.#catalog.remember(log, Number.POSITIVE_INFINITY);
    this.abandon();
    this.#finder.close();
    this.#descriptors.closeAll();
    void this.#running.then(() => this.#descriptors.closeAll());
  }

  /** Everything before `finish` was handed out; nothing that is looked for is outstanding. */
  #isOver(): boolean {
    if (this.#state === "over") return true;
    return (
      this.#state === "ending" && this.#queue.size === 0 && !this.#tracker.isSearching && !this.#isScanWanted
    );
  }

  /** One chunk of the next file that has something, fairly in turn. */
  async #readNext(): Promise<Chunk | undefined> {
    for (let isMoving = true; isMoving && this.#state !== "over";) {
      isMoving = false;
      for (const log of this.#queue) {
        if (this.#isClosed()) return undefined;
        this.#pause.add(PER_READ);
        await this.#pause.take();
        if (!this.#queue.has(log) || this.#mustWait(log)) continue;
        this.#queue.delete(log);
        isMoving = true;
        const result = await this.#tryRead(log);
        if (result === undefined) continue;
        this.#pause.add(result.bytes.length);
        this.#catalog.remember(log, this.#options.host.monotonic());
        return result;
      }
    }
    return undefined;
  }

  /** Lines come in the order they were written, also across a rotation. */
  #mustWait(log: LogFile): boolean {
    const { after } = log;
    if (after === undefined) return false;
    const isDone =
      after.isCaughtUp || after.isGone || after.trouble !== undefined || !this.#catalog.logs.has(after);
    if (isDone && !after.isReplaced) log.after = undefined;
    return log.after !== undefined;
  }

  async #tryRead(log: LogFile): Promise<Chunk | undefined> {
    if (log.isReplaced) return undefined;
    if (log.isGone) return lastWord(log);
    let result: ReadResult;
    try {
      result = await this.#reader.read(log, this.#mayEnd(log));
      if (!log.isStuck) log.trouble = undefined;
    } catch (error) {
      if (this.#state === "over") return undefined;
      const path = log.where?.path ?? log.name;
      log.trouble = unreadable(path, error, statIfThere(path));
      return undefined;
    }
    log.noteGrowth(this.#options.host.monotonic());
    if (result === "nothing") return undefined;
    if (result === "replaced" || result === "missing") {
      if (result === "replaced") log.isReplaced = true;
      if (result === "replaced" || this.#state !== "ending" || !log.isMissing) this.#wantScan();
      log.isMissing = result === "missing";
      return undefined;
    }
    log.isMissing = false;
    if (!log.isCaughtUp) this.#queue.add(log);
    return result === "more" ? undefined : result;
  }

  /** Whether nothing more will be written to it. */
  #mayEnd(log: LogFile): boolean {
    if (log.limit !== undefined || this.#isClosedSegment(log)) return true;
    if (log.leavingSince === undefined) return false;
    return this.#options.host.monotonic() - Math.max(log.changedAt, log.leavingSince) >= this.#pace.quietMs;
  }

  #isClosedSegment({ where }: LogFile): boolean {
    return where !== undefined && this.#spoolOf(where.path)?.isClosed(where.path) === true;
  }

  #enqueue(log: LogFile): void {
    if (log.isCaughtUp || log.isReplaced || (log.isStuck && log.hasSaidLast)) return;
    this.#queue.add(log);
    this.#readerWaker.wake();
  }

  /** Looks after files also while nobody pulls: what is rotated away during an outage has to be held open. */
  async #keep(): Promise<void> {
    const { host } = this.#options;
    while (!this.#isClosed()) {
      if (this.#state === "finishing") await this.#scanLast();
      else if (this.#isScanDue()) await this.#scan();
      if (this.#isClosed()) return;
      this.#checkTouched();
      if (host.monotonic() - this.#polledAt >= this.#pace.pollMs || this.#state === "ending") this.#poll();
      this.#readerWaker.wake();
      await this.#keeperWaker.wait(this.#untilDue());
      // Changes come in bursts: one look for all of them.
      if (this.#pace.settleMs > 0) await host.sleep(this.#pace.settleMs, this.#ending.signal);
    }
  }

  /** Files that were made in the last moment are read too. */
  async #scanLast(): Promise<void> {
    await this.#scan();
    if (!this.#isClosed()) this.#state = "ending";
  }

  #isClosed(): boolean {
    return this.#state === "over";
  }

  #scanMs(): number {
    return this.#pace.scanMs * (1 + Math.floor(this.#catalog.logs.size / FILES_PER_SCAN));
  }

  #isScanDue(): boolean {
    const since = this.#options.host.monotonic() - this.#scannedAt;
    const isWaiting = this.#completeness.isWaiting || this.#tracker.isSearching;
    if (isWaiting && since >= this.#pace.pollMs) return true;
    if (this.#state === "ending") return this.#isScanWanted;
    // Thousands of files are not looked at for each one that is made.
    return since >= this.#scanMs() || (this.#isScanWanted && since >= this.#catalog.logs.size / 10);
  }

  #untilDue(): number {
    const { pollMs } = this.#pace;
    if (this.#isScanWanted)
      return Math.max(1, this.#scannedAt + this.#catalog.logs.size / 10 - this.#options.host.monotonic());
    return Math.max(1, Math.min(pollMs, this.#polledAt + pollMs - this.#options.host.monotonic()));
  }

  #wantScan(): void {
    this.#isScanWanted = true;
    this.#keeperWaker.wake();
  }

  async #scan(): Promise<void> {
    const { checkpoints, host } = this.#options;
    this.#isScanWanted = false;
    const found = await this.#finder.find();
    if (this.#isClosed()) return;
    if (!this.#isFirstScanOver) {
      const [catalog, tracker] = [this.#catalog, this.#tracker];
      await resumeFiles(
        {
          catalog,
          tracker,
          checkpoints,
          monotonic: () => host.monotonic(),
          originOf: tracker.originOf,
          isOurs: (name) => this.#finder.matches(name),
        },
        found,
      );
    }
    await this.#tracker.settle(found);
    this.#isFirstScanOver = true;
    this.#scannedAt = host.monotonic();
    this.#polledAt = Number.NEGATIVE_INFINITY;
    this.#isAfterScan = true;
  }

  /** Files that changed lately, and those on their way out. */
  #poll(): void {
    const now = this.#options.host.monotonic();
    this.#polledAt = now;
    const isEnding = this.#state === "ending";
    const isAfterScan = this.#isAfterScan;
    this.#isAfterScan = false;
    let hasChangedNames = false;
    for (const log of this.#catalog.logs) {
      const isActive = now - log.changedAt < ACTIVE_MS || log.leavingSince !== undefined;
      if (isActive || isEnding) this.#look(log, now);
      if (isEnding && log.limit === undefined) this.#limit(log);
      if (log.leavingSince !== undefined && !log.hasSaidLast && this.#mayEnd(log)) log.isCaughtUp = false;
      this.#enqueue(log);
      if (!isActive && !isAfterScan) continue;
      if (!isEnding && this.#upkeep.tend(log)) hasChangedNames = true;
      this.#catalog.remember(log, now);
      this.#tidy.tend(log);
    }
    if (hasChangedNames) this.#wantScan();
  }

  #limit(log: LogFile): void {
    if (log.isReplaced) return;
    log.limit = log.size;
    log.isCaughtUp = false;
    log.hasSaidLast = false;
  }

  #look(log: LogFile, now: number): void {
    if (log.isGone || log.isReplaced || log.where?.isGzip === true) return;
    const stats = log.fd === undefined ? this.#statByName(log) : fstatSync(log.fd);
    if (stats === undefined) return;
    log.look(stats, now);
    if (log.hasShrunk) this.#wantScan();
  }

  #statByName(log: LogFile) {
    const { where } = log;
    if (where === undefined) return undefined;
    const stats = statIfThere(where.path);
    if (stats !== undefined && stats.ino === where.place.ino && stats.dev === where.place.dev) return stats;
    this.#wantScan();
    return undefined;
  }

  #changed(folder: string, name: string | undefined): void {
    if (name === undefined) this.#isScanWanted = true;
    else this.#touched.add(folder === "/" ? `/${name}` : `${folder}/${name}`);
    this.#keeperWaker.wake();
  }

  #checkTouched(): void {
    const now = this.#options.host.monotonic();
    for (const path of this.#touched) {
      const log = this.#tracker.at(path);
      const stats = log?.where === undefined ? undefined : statIfThere(path);
      if (log === undefined || stats === undefined || this.#catalog.holder(stats) !== log) {
        this.#isScanWanted = true;
        this.#keeperWaker.wake();
        continue;
      }
      if (log.look(stats, now) && log.hasShrunk) this.#wantScan();
      this.#enqueue(log);
    }
    this.#touched.clear();
  }

  /** `readFrom: end` holds for what is there at the very first start: from the beginning of the unfinished line. */
  #beginningOf(fd: number, size: number): number {
    const { readFrom, maxLineBytes } = this.#options;
    if (readFrom === "beginning" || this.#isFirstScanOver || !this.#isFirstStart) return 0;
    const from = Math.max(0, size - maxLineBytes);
    return from + Buffer.from(readPart(fd, from, size - from)).lastIndexOf(10) + 1;
  }
}

/** Of a file whose content is nowhere any more. */
function lastWord(log: LogFile): Chunk | undefined {
  log.isCaughtUp = true;
  if (!log.hasHandedOut || log.hasSaidLast) return undefined;
  log.hasSaidLast = true;
  return { origin: log.origin, start: log.readTo, bytes: new Uint8Array(), isCut: false, isLast: true };
}
