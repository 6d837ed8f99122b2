/** Says how files and contents belong together: which file is a copy, which has taken a content over, where a content went. */
import { fstatSync } from "node:fs";
import { basename } from "node:path";
import type { Catalog } from "./catalog.ts";
import { holdsContent, TAIL_BYTES } from "./identity.ts";
import type { LogFile } from "./log-file.ts";
import type { RecentBytes } from "./recent-bytes.ts";
import { familyOf, isGzipName, mayBeCopyOf, numberless, originalsOf } from "./rotated-names.ts";
import {
  beginningHash,
  type Completeness,
  endOfGzip,
  endOfPlain,
  isCopyOfBeginning,
  isGzipOfBeginning,
  isHeldBy,
  isHeldByGzip,
  type Sibling,
  siblingsOf,
} from "./siblings.ts";

/**
 * "copy": the same as what is read elsewhere. "moved": the only place where that content is now. "replaced": it is here, and
 * something else has come into the place where it was.
 */
export type Relation = "copy" | "moved" | "replaced";

/** Where a content has gone: "later" when a candidate is not complete yet. */
export type Location =
  | { readonly sibling: Sibling; readonly isWhole: true }
  /** A copy that was made before the last of it was written; we have read all that is in it. */
  | { readonly sibling: Sibling; readonly isWhole: false; readonly length: number }
  | "later"
  | undefined;

export interface RelationsOptions {
  readonly catalog: Catalog;
  readonly completeness: Completeness;
  readonly recent: RecentBytes;
  /** Opens a content where it is; undefined when it cannot be. */
  readonly hold: (log: LogFile) => number | undefined;
}

/** A series of files with one name and thousands of dates is not compared each with each. */
const MOST_RELATIVES = 64;

export class Relations {
  readonly #options: RelationsOptions;

  constructor(options: RelationsOptions) {
    this.#options = options;
  }

  /** Contents of which a file may be a copy, the newest first. */
  relativesOf(path: string): LogFile[] {
    const { catalog } = this.#options;
    const families = new Set([...originalsOf(path), familyOf(path)]);
    const relatives = [...families].flatMap((family) => [...catalog.namesakes(family)]);
    return relatives
      .filter(({ name }) => name !== path)
      .toReversed()
      .slice(0, MOST_RELATIVES);
  }

  /** Whether what was read of it is still where it was. */
  stillHolds(log: LogFile): boolean {
    if (log.where === undefined || log.where.isGzip) return true;
    const fd = this.#options.hold(log);
    if (fd === undefined) return true;
    return fstatSync(fd).size >= log.readTo && holdsContent(fd, { head: log.head, tail: log.tail() });
  }

  async between(file: Sibling, log: LogFile): Promise<Relation | undefined> {
    // That a content is gone was decided: what begins like it is another.
    if (log.isGone) return undefined;
    const relation = await this.#relation(file, log);
    return relation === "copy" && !isNamedAsCopy(file, log) ? undefined : relation;
  }

  async #relation(file: Sibling, log: LogFile): Promise<Relation | undefined> {
    const isElsewhere = log.where !== undefined || log.fd !== undefined;
    if (isGzipName(file.path)) return this.#betweenGzip(file, log, isElsewhere);
    if (!isElsewhere) return isHeldBy(file, log) ? "moved" : undefined;
    // A copy that is being made is empty at first.
    if (file.stats.size === 0) return log.names.includes(log.name) ? "copy" : undefined;
    if (log.where?.isGzip === true) return undefined;
    const fd = this.#options.hold(log);
    if (fd !== undefined && isCopyOfBeginning(file, fd)) return "copy";
    if (this.stillHolds(log)) return undefined;
    return isHeldBy(file, log) || this.#endsWithin(file, log) !== undefined ? "replaced" : undefined;
  }

  async #betweenGzip(file: Sibling, log: LogFile, isElsewhere: boolean): Promise<Relation | undefined> {
    const isHeld = await isHeldByGzip(file, log);
    if (!isElsewhere) return isHeld ? "moved" : undefined;
    if (log.where?.isGzip === true) return isHeld ? "copy" : undefined;
    const holds = this.stillHolds(log);
    if (!holds)
      return isHeld || (await this.#endsWithinGzip(file, log)) !== undefined ? "replaced" : undefined;
    const fd = this.#options.hold(log);
    return fd !== undefined && (await isGzipOfBeginning(file, fd)) ? "copy" : undefined;
  }

  /** Looks for a content beside the place where it was. */
  async locate(log: LogFile): Promise<Location> {
    const { catalog, completeness } = this.#options;
    const candidates = siblingsOf(log.family)
      .filter(({ stats }) => catalog.holder(stats) === undefined)
      .toSorted((a, b) => b.stats.mtimeMs - a.stats.mtimeMs);
    const plain = candidates.filter(({ path }) => !isGzipName(path));
    const whole = plain.find((sibling) => isHeldBy(sibling, log));
    if (whole !== undefined) return { sibling: whole, isWhole: true };
    const packed = candidates.filter(({ path }) => isGzipName(path));
    for (const sibling of packed) {
      if (!completeness.isComplete(sibling.path, sibling.stats)) return "later";
      if (await isHeldByGzip(sibling, log)) return { sibling, isWhole: true };
    }
    // Only what was emptied under our eyes may have been copied before we read the last of it.
    return log.isReplaced ? this.#locateBeginning(log, [...plain, ...packed]) : undefined;
  }

  async #locateBeginning(log: LogFile, candidates: readonly Sibling[]): Promise<Location> {
    for (const sibling of candidates) {
      const length = isGzipName(sibling.path)
        ? await this.#endsWithinGzip(sibling, log)
        : this.#endsWithin(sibling, log);
      if (length !== undefined) return { sibling, isWhole: false, length };
    }
    return undefined;
  }

  /** Length of a file that is the beginning of what was read of a log, as far as its own beginning and its last bytes say. */
  #endsWithin(file: Sibling, log: LogFile): number | undefined {
    const isLikely = log.head.length > 0 && file.stats.size > log.begin && file.stats.size < log.readTo;
    if (!isLikely || beginningHash(file, log.head) !== log.head.hash) return undefined;
    const end = endOfPlain(file);
    return end !== undefined && this.#isEnd(end, log) ? end.length : undefined;
  }

  async #endsWithinGzip(file: Sibling, log: LogFile): Promise<number | undefined> {
    const end = await endOfGzip(file);
    return end !== undefined && this.#isEnd(end, log) ? end.length : undefined;
  }

  #isEnd({ length, bytes }: { length: number; bytes: Uint8Array }, log: LogFile): boolean {
    if (length >= log.readTo || bytes.length < Math.min(TAIL_BYTES, length)) return false;
    const known = this.#options.recent.read(log, length - bytes.length, length);
    return known !== undefined && Buffer.from(known).equals(bytes);
  }
}

/** The logs of two days that hold the same are two: a copy has the name of what it was made of, and something behind it. */
function isNamedAsCopy({ path }: Sibling, { name, where }: LogFile): boolean {
  if ([name, where?.path ?? name].some((original) => mayBeCopyOf(basename(original), basename(path))))
    return true;
  // Numbers move on while files are compressed: `app.log.1` becomes `app.log.2.gz`. Dates do not.
  return isGzipName(path) && numberless(path) === numberless(name);
}
