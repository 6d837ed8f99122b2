/** Keeps every content and the files that hold it together, whatever is renamed, copied, emptied, compressed or removed. */
import { fstatSync } from "node:fs";
import type { FileEvents } from "./file-events.ts";
import type { Catalog } from "./catalog.ts";
import { Families } from "./families.ts";
import type { Descriptors } from "./descriptors.ts";
import type { Found } from "./finder.ts";
import { HEAD_BYTES, inodeOf, isSameBirth, partOf, placeOf, readPart } from "./identity.ts";
import { LogFile, whereaboutsOf } from "./log-file.ts";
import { Pause } from "./pause.ts";
import type { RecentBytes } from "./recent-bytes.ts";
import { Relations } from "./relations.ts";
import { familyOf, isGzipName } from "./rotated-names.ts";
import { type Completeness, recallEnd, type Sibling, siblingsOf, statIfThere } from "./siblings.ts";
import { unreadable } from "./trouble.ts";

export interface TrackerOptions {
  readonly catalog: Catalog;
  readonly descriptors: Descriptors;
  readonly completeness: Completeness;
  readonly recent: RecentBytes;
  readonly events: FileEvents;
  readonly monotonic: () => number;
  /** What records call a file. */
  readonly originOf: (path: string) => string;
  /** Where reading begins in a file that nobody has seen before. */
  readonly beginningOf: (fd: number, size: number) => number;
  /** Files of one series, which are ours: the one before is read first, and none is a copy of another. */
  readonly isSerial: (path: string) => boolean;
}

/** Files looked at in one go, and what a new one counts: about 2 ms. */
const SLICE = 1_000;
const PER_NEWCOMER = 50;

export class Tracker {
  readonly #options: TrackerOptions;
  readonly #relations: Relations;
  readonly #families: Families;
  /** Copies of what is read elsewhere, by inode, with the size at which they were compared. */
  readonly #copies = new Map<string, number>();
  /** What each matched name held at the last scan. */
  readonly #byPath = new Map<string, LogFile>();
  /** What was written last under each name, or came last in each series. */
  readonly #latest = new Map<string, LogFile>();

  constructor(options: TrackerOptions) {
    this.#options = options;
    const { catalog, completeness, recent } = options;
    this.#families = new Families(catalog);
    this.#relations = new Relations({ catalog, completeness, recent, hold: (log) => this.hold(log) });
  }

  /** The content under a matched name. */
  at(path: string): LogFile | undefined {
    return this.#byPath.get(path);
  }

  /** Whether contents are still being looked for. */
  get isSearching(): boolean {
    for (const log of this.#options.catalog.logs) if (log.isReplaced) return true;
    return false;
  }

  /** Takes over what a scan has found. */
  async settle(found: ReadonlyMap<string, Found>): Promise<void> {
    const { catalog } = this.#options;
    const pause = new Pause(SLICE);
    const newcomers = await this.#families.unseen(found, pause);
    for (const log of catalog.logs) log.names = [];
    for (const one of found.values()) {
      await pause.take();
      if (!this.#recognise(one)) newcomers.push(one);
      pause.add(1);
    }
    for (const log of catalog.logs) {
      pause.add(1);
      await pause.take();
      if (log.hasShrunk) this.#seeWhetherReplaced(log);
      if (log.isReplaced) await this.replace(log);
      else if (!log.names.includes(log.name)) await this.#follow(log);
    }
    newcomers.sort(byAge);
    for (const one of newcomers) {
      pause.add(PER_NEWCOMER);
      await pause.take();
      if (catalog.holder(one.stats) === undefined) await this.#welcome(one);
    }
    this.#noteNames(found);
    await this.#families.note(pause);
    for (const [name, log] of this.#latest) if (!catalog.logs.has(log)) this.#latest.delete(name);
    const unseen = new Set(newcomers.map(({ stats }) => inodeOf(stats)));
    for (const inode of this.#copies.keys()) if (!unseen.has(inode)) this.#copies.delete(inode);
  }

  /** A file that is known and still the same inode. */
  #recognise({ stats, names, isLinked }: Found): boolean {
    const { catalog, monotonic } = this.#options;
    const log = catalog.holder(stats);
    if (log?.where === undefined) return false;
    if (!isSameBirth(log.where.place, placeOf(stats))) {
      // The inode was used again while the file was closed.
      catalog.place(log, undefined);
      return false;
    }
    log.names = names;
    log.isLinked = isLinked;
    if (!names.includes(log.where.path)) log.where = { ...log.where, path: names[0] ?? log.where.path };
    if (names.includes(log.name)) log.leavingSince = undefined;
    log.look(stats, monotonic());
    return true;
  }

  /** Looks after a content that does not stand under its own name any more. */
  async #follow(log: LogFile): Promise<void> {
    const { catalog, events, monotonic } = this.#options;
    if (log.leavingSince === undefined) {
      log.leavingSince = monotonic();
      if (log.where !== undefined) events.rotated(log.name);
    }
    if (log.names.length > 0 || log.isGone) return;
    if (log.where !== undefined) {
      const { path, place } = log.where;
      const isHere = ({ stats }: Sibling) =>
        inodeOf(stats) === inodeOf(place) && isSameBirth(place, placeOf(stats));
      const stats = statIfThere(path);
      const isUnlinked = log.fd !== undefined && fstatSync(log.fd).nlink === 0;
      const sibling =
        stats !== undefined && isHere({ path, stats })
          ? { path, stats }
          : isUnlinked
            ? undefined
            : siblingsOf(log.family).find(isHere);
      if (sibling !== undefined) {
        log.where = { ...log.where, path: sibling.path };
        log.look(sibling.stats, monotonic());
        return;
      }
      if (log.fd !== undefined) {
        log.look(fstatSync(log.fd), monotonic());
        return;
      }
      catalog.place(log, undefined);
    }
    if (log.fd === undefined) await this.#relocate(log);
  }

  /** Finds the content in a copy; else it is gone. */
  async #relocate(log: LogFile): Promise<void> {
    const { events, isSerial } = this.#options;
    const location = isSerial(log.name) ? undefined : await this.#relations.locate(log);
    if (location === "later") return;
    log.isReplaced = false;
    log.isCaughtUp = false;
    if (location?.isWhole === true) {
      this.#adopt(log, location.sibling);
      return;
    }
    if (location !== undefined) this.#takeAsRead(log, location.sibling, location.length);
    log.isGone = true;
    const unread = Math.max(0, log.size - log.readTo);
    if (unread > 0) events.replaced(log.name, unread);
    log.size = log.readTo;
  }

  /** A copy of which nothing is left to read; noted, so that it is not read after a restart either. */
  #takeAsRead({ name, head, begin }: LogFile, { path, stats }: Sibling, length: number): void {
    const { catalog, originOf } = this.#options;
    const now = this.#options.monotonic();
    const where = whereaboutsOf(path, stats, isGzipName(path));
    const origin = { path: originOf(name), key: catalog.newKey(where.place) };
    const log = new LogFile({ origin, name, where, offset: length, head, mtime: stats.mtimeMs, now });
    log.begin = begin;
    log.size = length;
    log.leavingSince = now;
    log.hasSaidLast = true;
    log.isCaughtUp = true;
    log.finishedAt = length;
    if (where.isGzip) log.wholeSize = stats.size;
    this.#copies.delete(inodeOf(stats));
    catalog.add(log);
    this.holdAndRecall(log);
    catalog.remember(log, now);
  }

  #adopt(log: LogFile, { path, stats }: Sibling): void {
    const { catalog, descriptors, monotonic } = this.#options;
    descriptors.close(log);
    catalog.place(log, whereaboutsOf(path, stats, isGzipName(path)));
    this.#copies.delete(inodeOf(stats));
    log.leavingSince ??= monotonic();
    log.isCaughtUp = false;
    log.hasSaidLast = false;
    log.look(stats, monotonic());
    this.holdAndRecall(log);
  }

  /** Other content has come into its place: the old one is looked for, the new one begins behind it. */
  async replace(log: LogFile): Promise<void> {
    const { catalog, descriptors, events, monotonic } = this.#options;
    const { where, names, isLinked } = log;
    if (where !== undefined) {
      descriptors.close(log);
      catalog.place(log, undefined);
      log.names = [];
      log.leavingSince = monotonic();
      events.replaced(log.name, 0);
    }
    await this.#relocate(log);
    if (where === undefined) return;
    const stats = statIfThere(where.path);
    if (stats === undefined || inodeOf(stats) !== inodeOf(where.place)) return;
    this.begin({ path: where.path, stats, names, isLinked }, log.name);
  }

  /** A file that nobody knows: a copy or another form of what is known, or a content of its own. */
  async #welcome(found: Found): Promise<void> {
    const { catalog, completeness, monotonic, isSerial } = this.#options;
    const { path, stats } = found;
    const inode = inodeOf(stats);
    if (this.#copies.get(inode) === stats.size) return;
    this.#copies.delete(inode);
    if (!completeness.isComplete(path, stats)) {
      this.#families.awaits(stats);
      return;
    }
    // Nobody copies the files of a series: two that hold the same are two.
    const relatives = isSerial(path) ? [] : this.#relations.relativesOf(path);
    for (const log of relatives) {
      const relation = await this.#relations.between(found, log);
      if (relation === undefined) continue;
      if (relation === "copy") this.#copies.set(inode, stats.size);
      else if (relation === "moved") this.#adopt(log, found);
      else await this.replace(log);
      if (relation !== "replaced" || catalog.holder(stats) !== undefined) return;
    }
    // Comparing may have taken a while: what has another name by now is found by the next scan.
    if (!isStillThere(found)) return;
    const isMissed = found.names.length === 0;
    const log = this.begin(found, isMissed ? familyOf(path) : path);
    if (isMissed) log.leavingSince = monotonic();
  }

  #seeWhetherReplaced(log: LogFile): void {
    log.hasShrunk = false;
    if (!this.#relations.stillHolds(log)) log.isReplaced = true;
  }

  /** Begins to read a content. */
  begin({ path, stats, names, isLinked }: Found, name: string): LogFile {
    const { catalog, monotonic, originOf, beginningOf, isSerial } = this.#options;
    const where = whereaboutsOf(path, stats, isGzipName(path));
    const origin = { path: originOf(name), key: catalog.newKey(where.place) };
    const log = new LogFile({ origin, name, where, offset: 0, mtime: stats.mtimeMs, now: monotonic() });
    log.names = names;
    log.isLinked = isLinked;
    const series = isSerial(path) ? origin.path : name;
    log.after = this.#latest.get(series);
    this.#latest.set(series, log);
    catalog.add(log);
    const fd = this.hold(log);
    if (fd !== undefined && !where.isGzip) {
      const from = isSerial(path) ? 0 : beginningOf(fd, stats.size);
      if (from > 0) log.skipTo(from);
      log.head = partOf(
        readPart(fd, log.begin, Math.min(HEAD_BYTES, Math.max(0, stats.size - log.begin))),
        log.begin,
      );
    }
    log.look(stats, monotonic());
    log.isCaughtUp = false;
    catalog.remember(log, monotonic());
    return log;
  }

  /** Takes up a content whose reading began before us. */
  holdAndRecall(log: LogFile): void {
    const fd = this.hold(log);
    if (fd !== undefined && log.where?.isGzip === false && log.before.length === 0) recallEnd(log, fd);
  }

  /** Opens it while there is room, so that its inode stays what it is. */
  hold(log: LogFile): number | undefined {
    const { descriptors } = this.#options;
    if (!descriptors.hasRoom && log.names.length > 0) return undefined;
    try {
      const fd = descriptors.open(log);
      log.trouble = undefined;
      return fd === "missing" ? undefined : fd;
    } catch (error) {
      log.trouble = unreadable(log.where?.path ?? log.name, error, statIfThere(log.where?.path ?? log.name));
      return undefined;
    }
  }

  #noteNames(found: ReadonlyMap<string, Found>): void {
    this.#byPath.clear();
    for (const { stats, names } of found.values()) {
      const log = this.#options.catalog.holder(stats);
      if (log !== undefined) for (const name of names) this.#byPath.set(name, log);
    }
  }

  /** Says what was known before the first scan. */
  expect(log: LogFile, mtime: number): void {
    this.#latest.set(log.name, log);
    this.#families.expect(log, mtime);
  }
}

function isStillThere({ path, stats }: Found): boolean {
  const now = statIfThere(path);
  return now !== undefined && inodeOf(now) === inodeOf(stats);
}

/** Written to last comes last; of those that were written to in the same moment, the rotated ones come first. */
function byAge(one: Found, other: Found): number {
  if (one.stats.mtimeMs !== other.stats.mtimeMs) return one.stats.mtimeMs - other.stats.mtimeMs;
  const isRotated = ({ names }: Found): number => (names.length === 0 ? 0 : 1);
  return isRotated(one) - isRotated(other) || (one.path > other.path ? -1 : 1);
}
