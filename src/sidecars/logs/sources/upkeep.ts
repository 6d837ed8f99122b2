/** Keeps the application's files small, and removes those that are delivered: never a byte that is not delivered yet. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
  type Stats,
} from "node:fs";
import type { Clock } from "../../../kernel/clock.ts";
import { hasWriter, punchHole } from "../../../lib/file-calls.ts";
import type { Catalog } from "./catalog.ts";
import type { Descriptors } from "./descriptors.ts";
import type { FileEvents } from "./file-events.ts";
import { HEAD_BYTES, inodeOf, partOf, readPart } from "./identity.ts";
import type { LogFile } from "./log-file.ts";
import { statIfThere } from "./siblings.ts";
import { cannotChange, holesRefused, keepsDescriptor } from "./trouble.ts";

export interface UpkeepOptions {
  readonly rotate: { readonly size: number; readonly by: "rename" | "hole" } | undefined;
  readonly remove: { readonly after: number } | undefined;
  readonly catalog: Catalog;
  readonly descriptors: Descriptors;
  readonly events: FileEvents;
  readonly clock: Clock;
  /** A renamed file must have been unchanged for so long before it is unlinked, milliseconds. */
  readonly quietMs: number;
  /** Segments of ours to which nothing is added any more: removed as soon as they are delivered. */
  readonly isClosed: (path: string) => boolean;
}

/** Stands in the names of files that were renamed here, before a time and a number. */
const ROTATED_HERE = ".pillion-";
const BLOCK_BYTES = 4096;
/** What stands before the delivered offset stays, so that the file is recognised by it. */
const KEPT_BYTES = 2 * BLOCK_BYTES;
/** Where the kernel does not say who writes: an application that has not written to a renamed file for so long has another one. */
const SURELY_QUIET_MS = 5 * 60_000;

export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #troubles = new Map<LogFile, unknown>();
  /** How large renamed files were when nobody could have noticed yet. */
  readonly #sizeAtRename = new WeakMap<LogFile, number>();
  #sequence = 0;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  /** What could not be done. Only the removal of a file that was rotated here is tried again. */
  troubles(): Iterable<unknown> {
    for (const log of this.#troubles.keys())
      if (!this.#options.catalog.logs.has(log)) this.#troubles.delete(log);
    return this.#troubles.values();
  }

  /** Looks after one file. True when a name has changed, so that it is time to look for files. */
  tend(log: LogFile): boolean {
    const { rotate, remove, isClosed } = this.#options;
    if (log.where === undefined || log.isReplaced) return false;
    if (isRotatedHere(log, log.where.path)) return this.#removeRotated(log);
    if (this.#troubles.has(log)) return false;
    if (isClosed(log.where.path)) return this.#remove(log, 0);
    if (rotate?.by === "hole") this.#punch(log, rotate.size);
    if (rotate?.by === "rename" && this.#rename(log, rotate.size)) return true;
    return remove !== undefined && this.#remove(log, remove.after);
  }

  #punch(log: LogFile, size: number): void {
    const { catalog, events, clock } = this.#options;
    const { where } = log;
    if (where === undefined || where.isGzip) return;
    const to = Math.floor((catalog.delivered(log) - KEPT_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
    if (to - log.begin < size) return;
    let fd: number | undefined;
    try {
      fd = openSync(where.path, constants.O_RDWR | constants.O_NONBLOCK);
      if (inodeOf(fstatSync(fd)) !== inodeOf(where.place)) return;
      const from = log.begin;
      // Noted first: whether or not the hole is there after a crash, the file is recognised by what stands behind it.
      log.head = partOf(readPart(fd, to, HEAD_BYTES), to);
      log.begin = to;
      catalog.remember(log, clock.monotonic());
      if (
        punchHole(
          fd,
          Math.floor(from / BLOCK_BYTES) * BLOCK_BYTES,
          to - Math.floor(from / BLOCK_BYTES) * BLOCK_BYTES,
        )
      ) {
        // Giving back blocks changes the file's times, but not what stands in it.
        log.mtime = fstatSync(fd).mtimeMs;
        events.ownRotation(log.name, to - from);
      } else this.#troubles.set(log, holesRefused(where.path));
    } catch {
      this.#troubles.set(log, holesRefused(where.path));
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /** The application goes on writing to the renamed file until it opens its log again; both are read. */
  #rename(log: LogFile, size: number): boolean {
    const { events, clock, descriptors } = this.#options;
    const { where } = log;
    if (
      where === undefined ||
      where.isGzip ||
      log.size < size ||
      !log.names.includes(log.name) ||
      log.isLinked
    )
      return false;
    const time = new Date(clock.now()).toISOString().replaceAll(/[:.]/g, "-");
    const path = `${log.name}${ROTATED_HERE}${time}-${++this.#sequence}`;
    try {
      if (lstatSync(log.name).isSymbolicLink() || descriptors.open(log) === "missing") return false;
      if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return false;
      renameSync(log.name, path);
    } catch (error) {
      this.#troubles.set(log, cannotChange("rename", log.name, error));
      return false;
    }
    log.where = { ...where, path };
    events.ownRotation(log.name, log.size);
    return true;
  }

  #removeRotated(log: LogFile): boolean {
    const { quietMs, clock, descriptors } = this.#options;
    const fd = log.fd ?? this.#open(log);
    if (fd === undefined) return false;
    if (this.#isUnnoticed(log)) {
      this.#troubles.set(log, keepsDescriptor(log.name));
      return false;
    }
    this.#troubles.delete(log);
    const isWritten = hasWriter(fd);
    const mustWait = isWritten ?? clock.monotonic() - log.changedAt < SURELY_QUIET_MS;
    if (mustWait) return false;
    const isRemoved = this.#remove(log, quietMs);
    if (isRemoved) descriptors.close(log);
    return isRemoved;
  }

  /** The application has had time enough, by what it wrote, to open its log again. */
  #isUnnoticed(log: LogFile): boolean {
    const sizeAtRename = this.#sizeAtRename.get(log) ?? log.size;
    this.#sizeAtRename.set(log, sizeAtRename);
    const { rotate } = this.#options;
    return (
      rotate !== undefined && log.size > sizeAtRename + rotate.size && statIfThere(log.name) === undefined
    );
  }

  /** Only what is delivered to its last byte, has been unchanged for so long, and is written to by nobody. */
  #remove(log: LogFile, after: number): boolean {
    const { catalog, clock, events } = this.#options;
    const { where } = log;
    if (where === undefined || clock.monotonic() - log.changedAt < after || !log.isCaughtUp) return false;
    if (!log.hasHandedOut && catalog.delivered(log) === log.begin && log.size > log.begin) return false;
    if (log.isLinked || catalog.delivered(log) < log.readTo) return false;
    const fd = log.fd ?? this.#open(log);
    if (fd === undefined) return false;
    // Compressed files are complete once they were read to their end; of others every byte must have been read.
    const isWhole = (stats: Stats): boolean =>
      where.isGzip ? stats.size === log.wholeSize : stats.size === log.readTo;
    if (!isWhole(fstatSync(fd)) || (!where.isGzip && hasWriter(fd) === true)) return false;
    try {
      for (const name of new Set([where.path, ...log.names])) {
        const stats = lstatSync(name, { throwIfNoEntry: false });
        if (stats === undefined || stats.isSymbolicLink() || inodeOf(stats) !== inodeOf(where.place))
          continue;
        if (!isWhole(stats)) return false;
        unlinkSync(name);
      }
    } catch (error) {
      this.#troubles.set(log, cannotChange("remove", where.path, error));
      return false;
    }
    log.isRemoved = true;
    events.removed(where.path);
    return true;
  }

  #open(log: LogFile): number | undefined {
    try {
      const fd = this.#options.descriptors.open(log);
      return fd === "missing" ? undefined : fd;
    } catch {
      return undefined;
    }
  }
}

/** Also by an earlier run: its name is all that tells. */
function isRotatedHere(log: LogFile, path: string): boolean {
  return path.startsWith(`${log.name}${ROTATED_HERE}`);
}
