/** Looks after files, also while nobody pulls: what is rotated away during an outage has to be held open. */
import { fstatSync, type Stats } from "node:fs";
import type { Host } from "../../../kernel/host.ts";
import type { CheckpointStore } from "../delivery/delivery.ts";
import type { Catalog } from "./catalog.ts";
import type { Finder } from "./finder.ts";
import type { LogFile } from "./log-file.ts";
import { resumeFiles } from "./resume.ts";
import { familyOf } from "./rotated-names.ts";
import { type Completeness, statIfThere } from "./siblings.ts";
import type { Tidy } from "./tidy.ts";
import type { Tracker } from "./tracker.ts";
import type { Turns } from "./turns.ts";
import type { Upkeep } from "./upkeep.ts";
import { Waker } from "./waker.ts";

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

export const PACE: Pace = { pollMs: 1_000, scanMs: 5_000, quietMs: 5_000, settleMs: 10 };

export interface KeeperOptions {
  readonly host: Host;
  readonly pace: Pace;
  readonly checkpoints: CheckpointStore;
  readonly catalog: Catalog;
  readonly tracker: Tracker;
  readonly finder: Finder;
  readonly completeness: Completeness;
  readonly turns: Turns;
  readonly upkeep: Upkeep;
  readonly tidy: Tidy;
  readonly originOf: (path: string) => string;
  /** Something may have become readable, or everything is read. */
  readonly progressed: () => void;
}

/** A file counts as active for so long after a change. */
const ACTIVE_MS = 15_000;
/** So many files make the time between two scans one `scanMs` longer. */
const FILES_PER_SCAN = 2_500;
/** Least time between two scans that changes ask for; per file, since many take longer. */
const LEAST_SCAN_MS = 50;
const LEAST_SCAN_MS_PER_FILE = 0.1;

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #waker: Waker;
  readonly #touched = new Set<string>();
  readonly #ending = new AbortController();
  #phase: "reading" | "finishing" | "ending" | "over" = "reading";
  #hasScanned = false;
  #isScanWanted = true;
  #isAfterScan = false;
  /** As of the last scan: contents are looked for that may come to light. */
  #isSearching = false;
  #scannedAt = Number.NEGATIVE_INFINITY;
  #polledAt = Number.NEGATIVE_INFINITY;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#waker = new Waker(options.host);
  }

  /** Whether files have been looked for at least once. */
  get hasScanned(): boolean {
    return this.#hasScanned;
  }

  /** Told to finish: everything was handed out, and nothing that is looked for is outstanding. */
  get isDone(): boolean {
    const { turns, tracker } = this.#options;
    if (this.#isOver()) return true;
    return this.#phase === "ending" && turns.isEmpty && !this.#isScanWanted && !tracker.isSearching;
  }

  /** Runs until `stop`. Rejects for bugs only. */
  async run(): Promise<void> {
    const { host, pace, progressed } = this.#options;
    while (!this.#isOver()) {
      if (this.#phase === "finishing") await this.#scanLast();
      else if (this.#isScanDue()) await this.#scan();
      if (this.#isOver()) return;
      this.#checkTouched();
      if (host.monotonic() - this.#polledAt >= pace.pollMs || this.#phase === "ending") this.#poll();
      progressed();
      await this.#waker.wait(this.#untilDue());
      // Changes come in bursts: one look for all of them.
      if (pace.settleMs > 0) await host.sleep(pace.settleMs, this.#ending.signal);
    }
  }

  finish(): void {
    if (this.#phase === "reading") this.#phase = "finishing";
    this.#options.completeness.isHasty = true;
    this.#ending.abort();
    this.#waker.wake();
  }

  stop(): void {
    this.#phase = "over";
    this.#ending.abort();
    this.#waker.wake();
  }

  /** Files are looked for soon. */
  wantScan(): void {
    this.#isScanWanted = true;
    this.#waker.wake();
  }

  /** Something has changed in a watched folder. */
  changed(folder: string, name: string | undefined): void {
    if (name === undefined) this.#isScanWanted = true;
    else this.#touched.add(folder === "/" ? `/${name}` : `${folder}/${name}`);
    this.#waker.wake();
  }

  #isOver(): boolean {
    return this.#phase === "over";
  }

  /** Files that were made in the last moment are read too. */
  async #scanLast(): Promise<void> {
    await this.#scan();
    if (!this.#isOver()) this.#phase = "ending";
  }

  #isScanDue(): boolean {
    const { host, pace, catalog, completeness } = this.#options;
    const since = host.monotonic() - this.#scannedAt;
    if ((completeness.isWaiting || this.#isSearching) && since >= pace.pollMs) return true;
    if (this.#phase === "ending") return this.#isScanWanted;
    const scanMs = pace.scanMs * (1 + Math.floor(catalog.logs.size / FILES_PER_SCAN));
    return since >= scanMs || (this.#isScanWanted && since >= this.#leastScanMs());
  }

  #leastScanMs(): number {
    return Math.max(LEAST_SCAN_MS, this.#options.catalog.logs.size * LEAST_SCAN_MS_PER_FILE);
  }

  #untilDue(): number {
    const { host, pace } = this.#options;
    const now = host.monotonic();
    const scanAt = this.#isScanWanted ? this.#scannedAt + this.#leastScanMs() : Number.POSITIVE_INFINITY;
    return Math.max(1, Math.min(scanAt, this.#polledAt + pace.pollMs) - now);
  }

  async #scan(): Promise<void> {
    const { host, finder, tracker } = this.#options;
    this.#isScanWanted = false;
    const found = await finder.find();
    if (this.#isOver()) return;
    if (!this.#hasScanned) await resumeFiles(this.#options, found);
    await tracker.settle(found);
    this.#hasScanned = true;
    this.#scannedAt = host.monotonic();
    this.#polledAt = Number.NEGATIVE_INFINITY;
    this.#isAfterScan = true;
    this.#isSearching = tracker.isSearching;
  }

  /** Files that changed lately, and those on their way out; after a scan all. */
  #poll(): void {
    const { host, catalog, turns, upkeep, tidy } = this.#options;
    const now = host.monotonic();
    this.#polledAt = now;
    const isEnding = this.#phase === "ending";
    const isAfterScan = this.#isAfterScan;
    this.#isAfterScan = false;
    for (const log of catalog.logs) {
      const isActive = now - log.changedAt < ACTIVE_MS || log.leavingSince !== undefined;
      if (isActive || isEnding) this.#look(log, now);
      if (isEnding && log.limit === undefined) limit(log);
      if (log.leavingSince !== undefined && !log.hasSaidLast && turns.mayEnd(log)) log.isCaughtUp = false;
      turns.add(log);
      if (!isActive && !isAfterScan) continue;
      if (!isEnding && upkeep.tend(log)) this.wantScan();
      catalog.remember(log, now);
      tidy.tend(log);
    }
  }

  #look(log: LogFile, now: number): void {
    if (log.isGone || log.isReplaced || log.where?.isGzip === true) return;
    const stats = log.fd === undefined ? this.#statByName(log) : fstatSync(log.fd);
    if (stats === undefined) return;
    log.look(stats, now);
    if (log.hasShrunk) this.wantScan();
  }

  #statByName({ where }: LogFile): Stats | undefined {
    if (where === undefined) return undefined;
    const stats = statIfThere(where.path);
    if (stats !== undefined && stats.ino === where.place.ino && stats.dev === where.place.dev) return stats;
    this.wantScan();
    return undefined;
  }

  #checkTouched(): void {
    const { host, tracker, catalog, turns } = this.#options;
    const now = host.monotonic();
    for (const path of this.#touched) {
      const stats = statIfThere(path);
      const expected = tracker.at(path);
      const log = stats === undefined ? undefined : catalog.holder(stats);
      if (log === undefined || stats === undefined || (expected !== undefined && expected !== log)) {
        if (expected !== undefined || this.#matters(path, stats)) this.wantScan();
        continue;
      }
      // Compressed files and finished copies are looked at by scans.
      if (log.where?.isGzip === true) continue;
      if (log.look(stats, now) && log.hasShrunk) this.wantScan();
      turns.add(log);
    }
    this.#touched.clear();
  }

  /** Other programs may write all the time to files beside ours that are none of our business. */
  #matters(path: string, stats: Stats | undefined): boolean {
    const { finder, catalog } = this.#options;
    if (stats === undefined) return false;
    return !stats.isFile() || finder.matches(path) || catalog.families.has(familyOf(path));
  }
}

/** What is written from now on is not waited for. */
function limit(log: LogFile): void {
  if (log.isReplaced) return;
  log.limit = log.size;
  log.isCaughtUp = false;
  log.hasSaidLast = false;
}
