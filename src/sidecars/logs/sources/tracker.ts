/** Keeps every content and the files that hold it together, whatever is renamed, copied, emptied, compressed or removed. */
import { fstatSync, type Stats } from "node:fs";
import type { FileEvents } from "./file-events.ts";
import type { Catalog } from "./catalog.ts";
import type { Descriptors } from "./descriptors.ts";
import type { Found } from "./finder.ts";
import { HEAD_BYTES, holdsContent, inodeOf, isSameBirth, partOf, placeOf, readPart } from "./identity.ts";
import { LogFile, whereaboutsOf } from "./log-file.ts";
import { familyOf, isGzipName, isRotationOf, originalsOf } from "./rotated-names.ts";
import { basename } from "node:path";
import {
  type Completeness,
  isCopyOfBeginning,
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

interface Beginning {
  /** Read first. */
  readonly after: LogFile | undefined;
  /** What the application calls it, where that is not its path. */
  readonly name?: string;
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
  #byPath = new Map<string, LogFile>();
  #lastSerial: LogFile | undefined;

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
    const newcomers: Found[] = [];
    for (const log of catalog.logs) log.names = [];
    for (const one of found.values()) {
      if (!this.#recognise(one)) newcomers.push(one);
    }
    for (const log of catalog.logs) {
      if (log.hasShrunk) this.#seeWhetherReplaced(log);
      if (log.isReplaced) await this.replace(log);
      else if (!log.names.includes(log.name)) await this.#follow(log);
    }
    newcomers.sort((a, b) => a.stats.mtimeMs - b.stats.mtimeMs || (a.path < b.path ? -1 : 1));
    for (const one of newcomers) {
      if (catalog.holder(one.stats) === undefined) await this.#welcome(one);
    }
    await this.#noteNames(found);
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
      const sibling =
        stats !== undefined && isHere({ path, stats })
          ? { path, stats }
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
    const plain = candidates.find(({ path }) => !isGzipName(path) && isHeldBy(path, log));
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
    if (!isGzipName(path) && log.before.length === 0) recallEnd(log);
    log.leavingSince ??= monotonic();
    log.isCaughtUp = false;
    log.hasSaidLast = false;
    log.look(stats, monotonic());
    this.hold(log);
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
    if (stats === undefined || catalog.holder(stats) !== undefined) return;
    const successor = this.begin(
      { path: where.path, stats, names, isLinked },
      { after: log, name: log.name },
    );
    await this.#readMissed(log, successor);
  }

  /** A file that nobody knows: a copy or another form of what is known, or a content of its own. */
  async #welcome(found: Found): Promise<void> {
    const { completeness } = this.#options;
    const { path, stats } = found;
    const inode = inodeOf(stats);
    if (this.#copies.get(inode) === stats.size) return;
    this.#copies.delete(inode);
    if (!completeness.isComplete(path, stats)) return;
    for (const log of this.#relativesOf(path)) {
      const relation = await this.#relationOf(found, log);
      if (relation === undefined) continue;
      if (relation === "copy" && !this.#stillHolds(log)) await this.replace(log);
      else if (relation === "copy") this.#copies.set(inode, stats.size);
      else this.#adopt(log, found);
      return;
    }
    this.begin(found, { after: this.#previousAt(found) });
  }

  /** Contents of which a file may be a copy, the newest first. */
  #relativesOf(path: string): LogFile[] {
    const { catalog } = this.#options;
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

  /** A cheap look at the beginnings comes first. "copy": the same as what is read elsewhere. "moved": the only place where that content is now. */
  async #relationOf({ path, stats }: Found, log: LogFile): Promise<"copy" | "moved" | undefined> {
    const isElsewhere = log.where !== undefined || log.fd !== undefined;
    if (isGzipName(path)) {
      if (!(await isHeldByGzip(path, log))) return undefined;
      return isElsewhere ? "copy" : "moved";
    }
    // A copy that is being made is empty at first.
    if (stats.size === 0) return log.names.includes(log.name) ? "copy" : undefined;
    if (isHeldBy(path, log)) return isElsewhere ? "copy" : "moved";
    return isElsewhere && isCopyOfBeginning(path, log) ? "copy" : undefined;
  }

  #previousAt({ path }: Found): LogFile | undefined {
    const { isSerial } = this.#options;
    return isSerial(path) ? this.#lastSerial : this.#byPath.get(path);
  }

  /** Begins to read a content. */
  begin({ path, stats, names, isLinked }: Found, { after, name = path }: Beginning): LogFile {
    const { catalog, monotonic, originOf, beginningOf, isSerial } = this.#options;
    const where = whereaboutsOf(path, stats, isGzipName(path));
    const origin = { path: originOf(name), key: catalog.newKey(where.place) };
    const log = new LogFile({ origin, name, where, offset: 0, mtime: stats.mtimeMs, now: monotonic() });
    log.names = names;
    log.isLinked = isLinked;
    log.after = after;
    catalog.add(log);
    if (isSerial(path)) this.#lastSerial = log;
    const fd = this.hold(log);
    if (fd !== undefined && !where.isGzip) {
      const from = beginningOf(fd, stats.size);
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

  /** Where a name has come to hold another content, there may have been others in between. */
  async #noteNames(found: ReadonlyMap<string, Found>): Promise<void> {
    const { catalog } = this.#options;
    const byPath = new Map<string, LogFile>();
    for (const { stats, names } of found.values()) {
      const log = catalog.holder(stats);
      if (log === undefined) continue;
      for (const name of names) byPath.set(name, log);
    }
    const former = this.#byPath;
    this.#byPath = byPath;
    for (const [path, log] of former) {
      const now = byPath.get(path);
      if (now !== log && log.name === path) await this.#readMissed(log, now);
    }
  }

  /** Says what a name held before the first scan. */
  expect(path: string, log: LogFile): void {
    this.#byPath.set(path, log);
  }

  /**
   * Rotated more than once since we looked: what stands beside the log, is newer than what we knew and looks like a rotation is
   * read too, the oldest first.
   */
  async #readMissed(previous: LogFile, current: LogFile | undefined): Promise<void> {
    const { catalog, completeness, isSerial } = this.#options;
    if (isSerial(previous.name)) return;
    const since = previous.mtime;
    const missed = siblingsOf(previous.family)
      .filter(
        ({ path, stats }) => isRotationOf(basename(previous.family), basename(path)) && stats.mtimeMs > since,
      )
      .filter(({ stats }) => catalog.holder(stats) === undefined && !this.#copies.has(inodeOf(stats)))
      .toSorted((a, b) => a.stats.mtimeMs - b.stats.mtimeMs);
    let after = previous;
    for (const { path, stats } of missed) {
      if (!completeness.isComplete(path, stats) || (await this.#isKnown(path, stats))) continue;
      const log = this.begin({ path, stats, names: [], isLinked: false }, { after, name: previous.name });
      log.leavingSince = this.#options.monotonic();
      after = log;
    }
    if (current !== undefined && after !== previous) current.after = after;
  }

  async #isKnown(path: string, stats: Stats): Promise<boolean> {
    const found = { path, stats, names: [], isLinked: false };
    for (const log of this.#relativesOf(path)) {
      if ((await this.#relationOf(found, log)) !== undefined) return true;
    }
    return false;
  }
}
