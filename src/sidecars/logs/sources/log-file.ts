/** One content that is read: stays the same through renames and copies, and another one begins when a file is emptied. */
import type { Stats } from "node:fs";
import { familyOf } from "./rotated-names.ts";
import type { Origin } from "../record.ts";
import type { GzipText } from "./gzip-text.ts";
import { NOTHING, partOf, placeOf, TAIL_BYTES, type Identity, type Part, type Place } from "./identity.ts";

/** Where its bytes are right now. */
export interface Whereabouts {
  readonly path: string;
  readonly place: Place;
  readonly isGzip: boolean;
}

export interface LogFileOptions {
  readonly origin: Origin;
  /** The path that the application writes to. */
  readonly name: string;
  readonly where: Whereabouts | undefined;
  /** Where reading begins. */
  readonly offset: number;
  readonly head?: Part | undefined;
  /** What stood before `offset`, where that is known. */
  readonly tail?: Part | undefined;
  readonly mtime?: number;
  readonly now: number;
}

/** As of when its checkpoint was written last. */
interface Remembered {
  readonly where: Whereabouts;
  readonly head: Part;
  readonly readTo: number;
  readonly wholeSize: number | undefined;
  readonly finishedAt: number | undefined;
  /** Of the monotonic clock. */
  readonly at: number;
}

export class LogFile {
  readonly origin: Origin;
  readonly name: string;
  /** The name whose rotations it may be found among. */
  readonly family: string;
  /** Undefined: its bytes are in no file that has a name; maybe still behind `fd`. */
  where: Whereabouts | undefined;
  fd: number | undefined;
  gzip: GzipText | undefined;
  /** Names that the patterns match now. Without any it is on its way out. */
  names: readonly string[] = [];
  isLinked = false;
  /** Since when it has no matched name, of the monotonic clock. */
  leavingSince: number | undefined;

  head: Part;
  /** Offset up to which it has been handed out. */
  readTo: number;
  /** The first byte that was or is to be handed out; NULs before it are a hole. */
  begin: number;
  /** Size when it was looked at last; text size for compressed ones, as far as known. */
  size: number;
  mtime: number;
  /** When it was last seen to change, of the monotonic clock. */
  changedAt: number;
  /** The last bytes before `readTo` that were handed out: read again each time to see that they are still there. */
  readonly #before = new Uint8Array(TAIL_BYTES);
  #beforeLength = 0;
  #keptTail: Part | undefined;

  /** It became smaller: maybe emptied, maybe only shortened. */
  hasShrunk = false;
  /** Other content is in its place: nothing is read until the old one has been looked for. */
  isReplaced = false;
  /** Read first, so that lines come in the order they were written. */
  after: LogFile | undefined;
  /** Read to the end of what `size` says. */
  isCaughtUp = false;
  /** The chunk that says "nothing follows for now" was handed out. */
  hasSaidLast = false;
  hasHandedOut = false;
  /** Read no further than this: the size when the source was told to finish. */
  limit: number | undefined;
  /** Offset behind the last byte of a content that is complete: it was rotated away, read to its end and quiet. */
  finishedAt: number | undefined;
  /** Compressed and read to its end: how large the file was then. */
  wholeSize: number | undefined;
  /** Compressed and damaged: no further try until it changes. */
  isStuck = false;
  /** What was remembered of it: it is remembered again only after a change. */
  remembered: Remembered | undefined;
  /** Why it cannot be read right now. */
  trouble: unknown;
  /** Its content stands nowhere any more: what is unread of it is lost. */
  isGone = false;
  /** Not found where it was when it was to be opened. */
  isMissing = false;
  /** Removed by Pillion, which had made sure that everything was delivered. */
  isRemoved = false;
  #mark: { offset: number; at: number; since: number | undefined } | undefined;

  constructor({ origin, name, where, offset, head, tail, mtime, now }: LogFileOptions) {
    this.origin = origin;
    this.name = name;
    this.family = familyOf(name);
    this.where = where;
    this.readTo = offset;
    this.begin = offset;
    this.head = head ?? NOTHING;
    this.#keptTail = tail;
    this.mtime = mtime ?? 0;
    this.size = offset;
    this.changedAt = now;
  }

  /** Bytes that stood right before `readTo`. */
  get before(): Uint8Array {
    return this.#before.subarray(0, this.#beforeLength);
  }

  /** Puts bytes before `readTo` that were not handed out just now, but are known to be there. */
  recall(bytes: Uint8Array): void {
    this.#beforeLength = 0;
    this.#append(bytes);
  }

  handOut(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#append(bytes);
    this.readTo += bytes.length;
    this.#keptTail = undefined;
    this.hasHandedOut = true;
    this.hasSaidLast = false;
  }

  /** What stands before is no text: reading begins here. */
  skipTo(offset: number): void {
    this.readTo = offset;
    this.begin = offset;
    this.head = { from: offset, length: 0, hash: "" };
    this.#keptTail = undefined;
  }

  /** What stands between is no text: reading goes on here. */
  stepTo(offset: number): void {
    this.#beforeLength = 0;
    this.readTo = offset;
    this.#keptTail = undefined;
  }

  /** The hash of what stands before `readTo`. */
  tail(): Part {
    this.#keptTail ??= partOf(this.before, this.readTo - this.#beforeLength);
    return this.#keptTail;
  }

  /** What its file says now. True when it changed. */
  look(stats: Stats, now: number): boolean {
    if (stats.size === this.size && stats.mtimeMs === this.mtime) return false;
    if (this.where?.isGzip !== true) {
      if (stats.size < this.size) this.hasShrunk = true;
      this.size = stats.size;
    }
    this.mtime = stats.mtimeMs;
    this.changedAt = now;
    this.isCaughtUp = false;
    this.isStuck = false;
    this.noteGrowth(now);
    return true;
  }

  /** Moves the mark by which age of unread bytes is told. */
  noteGrowth(now: number): void {
    if (this.size <= this.readTo) this.#mark = undefined;
    else if (this.#mark === undefined) this.#mark = { offset: this.size, at: now, since: now };
    else if (this.readTo >= this.#mark.offset)
      this.#mark = { offset: this.size, at: now, since: this.#mark.at };
  }

  /** When the oldest byte behind `readTo` was seen. */
  get behindSince(): number | undefined {
    return this.size > this.readTo ? this.#mark?.since : undefined;
  }

  /** For its checkpoint; undefined while it is nowhere. */
  identity(): Identity | undefined {
    if (this.where === undefined) return undefined;
    const { path, place, isGzip } = this.where;
    const { name, head, mtime, wholeSize, finishedAt } = this;
    const tail = this.tail();
    return { ...place, name, path, isGzip, head, tail, mtime, wholeSize, finishedAt };
  }

  #append(bytes: Uint8Array): void {
    const kept = this.#before;
    if (bytes.length >= TAIL_BYTES) {
      kept.set(bytes.subarray(bytes.length - TAIL_BYTES));
      this.#beforeLength = TAIL_BYTES;
      return;
    }
    const old = Math.min(this.#beforeLength, TAIL_BYTES - bytes.length);
    kept.copyWithin(0, this.#beforeLength - old, this.#beforeLength);
    kept.set(bytes, old);
    this.#beforeLength = old + bytes.length;
  }
}

export function whereaboutsOf(path: string, stats: Stats, isGzip: boolean): Whereabouts {
  return { path, place: placeOf(stats), isGzip };
}
