/** Keeps every content and the files that hold it together, whatever is renamed, copied, emptied, compressed or removed. */
import { fstatSync } from "node:fs";
import type { FileEvents } from "./file-events.ts";
import type { Catalog } from "./catalog.ts";
import type { Descriptors } from "./descriptors.ts";
import type { Found } from "./finder.ts";
import { HEAD_BYTES, holdsContent, inodeOf, isSameBirth, partOf, placeOf, readPart } from "./identity.ts";
import { LogFile, whereaboutsOf } from "./log-file.ts";
import { familyOf, isGzipName, originalsOf } from "./rotated-names.ts";
import { dirname } from "node:path";
import {
  type Completeness,
  filesIn,
  isCopyOfBeginning,
  isGzipOfBeginning,
  isHeldBy,
  isHeldByGzip,
  recallEnd,
  type Sibling,
  siblingsOf,
  statIfThere,
} from "./siblings.ts";
import { unreadable } from "./trouble.ts";

export interface TrackerOptions {
  readonly catalog: Catalog;
  readonly descriptors: Descriptors;
  readonly completeness: Completeness;
  readonly events: FileEvents;
  readonly monotonic: () => number;
  /** What records call a file. */
  readonly originOf: (path: string) => string;
  /** Where reading begins in a file that nobody has seen before. */
  readonly beginningOf: (fd: number, size: number) => number;
  /** Files of one series: the one before is read first. */
  readonly isSerial: (path: string) => boolean;
}

/** A series of files with one name and thousands of dates is not compared each with each. */
const MOST_RELATIVES = 64;

/** Where the content of a file has gone: "later" when a candidate is not complete yet. */
type Location = Sibling | "later" | undefined;

export class Tracker {
  readonly #options: TrackerOptions;
  /** Copies of what is read elsewhere, by inode, with the size at which they were compared. */
  readonly #copies = new Map<string, number>();
  /** What each matched name held at the last scan. */
  readonly #byPath = new Map<string, LogFile>();
  /** What was written last under each name, or came last in each series. */
  readonly #latest = new Map<string, LogFile>();
  /** Per family, when the newest of its contents had been changed at the last scan. */
  readonly #since = new Map<string, number>();
  /** Compressed files that are not complete yet. */
  readonly #awaited = new Set<string>();
  /** Files beside logs that were there before us. */
  readonly #ignored = new Set<string>();

  constructor(options: TrackerOptions) {
    this.#options = options;
  }

  /** What records call a file. */
  get originOf(): (path: string) => string {
    return this.#options.originOf;
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
    const newcomers = this.#unseenSiblings(found);
    for (const log of catalog.logs) log.names = [];
    for (const one of found.values()) {
      if (!this.#recognise(one)) newcomers.push(one);
    }
    for (const log of catalog.logs) {
      if (log.hasShrunk) this.#seeWhetherReplaced(log);
      if (log.isReplaced) await this.replace(log);
      else if (!log.names.includes(log.name)) await this.#follow(log);
    }
    newcomers.sort(byAge);
    for (const one of newcomers) {
      if (catalog.holder(one.stats) === undefined) await this.#welcome(one);
    }
    this.#noteNames(found);
    this.#noteFamilies();
    for (const inode of this.#copies.keys()) if (!found.has(inode)) this.#copies.delete(inode);
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

  /** Finds the content in a copy; else it is gone. True when that is decided. */
  async #relocate(log: LogFile): Promise<boolean> {
    const { events } = this.#options;
    const location = await this.#locate(log);
    if (location === "later") return false;
    log.isReplaced = false;
    log.isCaughtUp = false;
    if (location !== undefined) {
      this.#adopt(log, location);
      return true;
    }
    log.isGone = true;
    const unread = Math.max(0, log.size - log.readTo);
    if (unread > 0) events.replaced(log.name, unread);
    log.size = log.readTo;
    return true;
  }

  async #locate(log: LogFile): Promise<Location> {
    const { catalog, completeness } = this.#options;
    const candidates = siblingsOf(log.family)
      .filter(({ stats }) => catalog.holder(stats) === undefined)
      .toSorted((a, b) => b.stats.mtimeMs - a.stats.mtimeMs);
    let mustWait = false;
    const plain = candidates.find((one) => !isGzipName(one.path) && isHeldBy(one, log));
    if (plain !== undefined) return plain;
    for (const candidate of candidates.filter(({ path }) => isGzipName(path))) {
      if (!completeness.isComplete(candidate.path, candidate.stats)) mustWait = true;
      else if (await isHeldByGzip(candidate.path, log)) return candidate;
    }
    return mustWait ? "later" : undefined;
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
    const { catalog, completeness, monotonic } = this.#options;
    const { path, stats } = found;
    const inode = inodeOf(stats);
    if (this.#copies.get(inode) === stats.size) return;
    this.#copies.delete(inode);
    if (!completeness.isComplete(path, stats)) {
      this.#awaited.add(inode);
      return;
    }
    this.#awaited.delete(inode);
    for (const log of this.#relativesOf(path)) {
      const relation = await this.#relationOf(found, log);
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

  /** Contents of which a file may be a copy, the newest first. */
  #relativesOf(path: string): LogFile[] {
    const { catalog, isSerial } = this.#options;
    // Each of a series is its own, however much they are alike.
    if (isSerial(path)) return [];
    const families = new Set([...originalsOf(path), familyOf(path)]);
    const relatives = [...families].flatMap((family) => [...catalog.namesakes(family)]);
    return relatives
      .filter(({ name }) => name !== path)
      .toReversed()
      .slice(0, MOST_RELATIVES);
  }

  /** Whether what was read of it is still where it was. */
  #stillHolds(log: LogFile): boolean {
    if (log.where === undefined || log.where.isGzip) return true;
    const fd = this.hold(log);
    if (fd === undefined) return true;
    return fstatSync(fd).size >= log.readTo && holdsContent(fd, { head: log.head, tail: log.tail() });
  }

  #seeWhetherReplaced(log: LogFile): void {
    log.hasShrunk = false;
    if (!this.#stillHolds(log)) log.isReplaced = true;
  }

  /**
   * "copy": the same as what is read elsewhere. "moved": the only place where that content is now. "replaced": it is here, and
   * something else has come into the place where it was.
   */
  async #relationOf(
    { path, stats }: Found,
    log: LogFile,
  ): Promise<"copy" | "moved" | "replaced" | undefined> {
    const isElsewhere = log.where !== undefined || log.fd !== undefined;
    if (isGzipName(path)) {
      if (!(await isHeldByGzip(path, log))) return undefined;
      if (!isElsewhere) return "moved";
      if (!this.#stillHolds(log)) return "replaced";
      if (log.where?.isGzip === true) return "copy";
      const fd = this.hold(log);
      return fd !== undefined && (await isGzipOfBeginning(path, fd)) ? "copy" : undefined;
    }
    if (!isElsewhere) return isHeldBy({ path, stats }, log) ? "moved" : undefined;
    // A copy that is being made is empty at first.
    if (stats.size === 0) return log.names.includes(log.name) ? "copy" : undefined;
    if (log.where?.isGzip === true) return undefined;
    const fd = this.hold(log);
    if (fd !== undefined && isCopyOfBeginning({ path, stats }, fd)) return "copy";
    return isHeldBy({ path, stats }, log) && !this.#stillHolds(log) ? "replaced" : undefined;
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

  /** What stands beside a log when it is found was there before us, and is not ours to read. */
  #noteFamilies(): void {
    const { catalog } = this.#options;
    const fresh = new Set<string>();
    for (const [family, logs] of catalog.families) {
      if (!this.#since.has(family)) fresh.add(family);
      let newest = this.#since.get(family) ?? 0;
      for (const { mtime } of logs) newest = Math.max(newest, mtime);
      this.#since.set(family, newest);
    }
    for (const folder of new Set([...fresh].map((family) => dirname(family)))) {
      for (const path of filesIn(folder)) {
        if (!fresh.has(familyOf(path)) || this.#byPath.has(path)) continue;
        const stats = statIfThere(path);
        if (stats !== undefined && catalog.holder(stats) === undefined) this.#ignored.add(inodeOf(stats));
      }
    }
    for (const family of this.#since.keys()) if (!catalog.families.has(family)) this.#since.delete(family);
    for (const [name, log] of this.#latest) if (!catalog.logs.has(log)) this.#latest.delete(name);
  }

  /**
   * Files that no pattern matches, but that look like rotations of what we read, came after the last scan, and are newer than
   * what was known then: a log may be rotated several times while nobody looks, or copied and emptied.
   */
  #unseenSiblings(found: ReadonlyMap<string, Found>): Found[] {
    const { catalog } = this.#options;
    const folders = new Set([...this.#since.keys()].map((family) => dirname(family)));
    const unseen: Found[] = [];
    for (const folder of folders) {
      for (const path of filesIn(folder)) {
        const family = familyOf(path);
        const since = this.#since.get(family);
        if (since === undefined || path === family || this.#byPath.has(path)) continue;
        const stats = statIfThere(path);
        if (stats?.isFile() !== true || found.has(inodeOf(stats))) continue;
        if (catalog.holder(stats) !== undefined || this.#ignored.has(inodeOf(stats))) continue;
        // Programs that keep times may know milliseconds only.
        if (stats.mtimeMs >= Math.floor(since) || this.#awaited.has(inodeOf(stats)))
          unseen.push({ path, stats, names: [], isLinked: false });
        else this.#ignored.add(inodeOf(stats));
      }
    }
    return unseen;
  }

  /** Says what was known before the first scan. */
  expect(log: LogFile, mtime: number): void {
    this.#latest.set(log.name, log);
    this.#since.set(log.family, Math.max(mtime, this.#since.get(log.family) ?? 0));
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
