/** Finds out where rotation has put content: beside the log, under a name that begins with the log's. */
import { closeSync, fstatSync, readdirSync, statSync, type Stats } from "node:fs";
import { basename, dirname, join } from "node:path";
import { openIfThere } from "./descriptors.ts";
import { GzipText } from "./gzip-text.ts";
import { holdsContent, inodeOf, partOf, readPart, TAIL_BYTES, type Part } from "./identity.ts";
import type { LogFile } from "./log-file.ts";
import { isGzipName, mayBeCopyOf } from "./rotated-names.ts";

export interface Sibling {
  readonly path: string;
  readonly stats: Stats;
}

export interface Content {
  readonly head: Part;
  readonly tail: Part;
}

/** A compressed file is taken for complete when its size has been the same for so long. */
const COMPLETE_AFTER_MS = 1_500;
/** Or when the file system says that it was last changed so long ago. */
const SURELY_COMPLETE_MS = 60_000;

/** Files beside a log whose names begin with its own; not the log itself. */
export function siblingsOf(name: string): Sibling[] {
  const folder = dirname(name);
  const own = basename(name);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const siblings: Sibling[] = [];
  for (const candidate of names) {
    if (!mayBeCopyOf(own, candidate)) continue;
    const path = join(folder, candidate);
    const stats = statIfThere(path);
    if (stats?.isFile() === true) siblings.push({ path, stats });
  }
  return siblings;
}

export function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Whether a plain file holds what was read of another. False for one that cannot be read. */
export function isHeldBy(path: string, log: LogFile): boolean {
  const content = { head: log.head, tail: log.tail() };
  if (content.head.length === 0) return false;
  return withFile(path, (fd) => fstatSync(fd).size >= log.readTo && holdsContent(fd, content)) ?? false;
}

/** Whether a file is a copy of the beginning of another, as far as its first and its last bytes say. */
export function isCopyOfBeginning(path: string, log: LogFile): boolean {
  const { where } = log;
  if (where === undefined || where.isGzip) return false;
  return (
    withFile(path, (copy) => {
      const { size } = fstatSync(copy);
      return withFile(where.path, (original) => {
        const stats = fstatSync(original);
        if (stats.size < size || inodeOf(stats) !== inodeOf(where.place)) return false;
        return [0, Math.max(0, size - 1024)].every((from) =>
          Buffer.from(readPart(copy, from, Math.min(1024, size))).equals(
            readPart(original, from, Math.min(1024, size)),
          ),
        );
      });
    }) ?? false
  );
}

function withFile<Result>(path: string, use: (fd: number) => Result): Result | undefined {
  let fd: number | undefined;
  try {
    fd = openIfThere(path);
    return fd === undefined ? undefined : use(fd);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** What stands before the place where reading goes on is compared with each read. */
export function recallEnd(log: LogFile): void {
  let fd: number | undefined;
  try {
    fd = openIfThere(log.where?.path ?? "");
    if (fd === undefined) return;
    const from = Math.max(log.begin, log.readTo - TAIL_BYTES);
    log.recall(readPart(fd, from, log.readTo - from));
  } catch {
    // It cannot be read right now; then there is nothing to compare with either.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Whether the text of a compressed file begins with what was read of a log. */
export async function isHeldByGzip(path: string, log: LogFile): Promise<boolean> {
  const head = log.head;
  const tail = log.tail();
  if (head.length === 0) return false;
  let fd: number | undefined;
  let text: GzipText | undefined;
  try {
    fd = openIfThere(path);
    if (fd === undefined) return false;
    text = new GzipText(fd);
    return await holdsParts(text, [head, tail]);
  } catch {
    return false;
  } finally {
    text?.close();
    if (fd !== undefined) closeSync(fd);
  }
}

/** Parts are told as soon as they have passed; the first that differs ends it. */
async function holdsParts(text: GzipText, wanted: readonly Part[]): Promise<boolean> {
  let open = wanted
    .filter(({ length }) => length > 0)
    .map((part) => ({ part, bytes: new Uint8Array(part.length), got: 0 }));
  let at = 0;
  while (open.length > 0) {
    const piece = await text.next();
    if (piece === undefined) return false;
    for (const one of open) {
      const { from, length, hash } = one.part;
      const begin = Math.max(from, at);
      const end = Math.min(from + length, at + piece.length);
      if (end <= begin) continue;
      one.bytes.set(piece.subarray(begin - at, end - at), begin - from);
      one.got += end - begin;
      if (one.got < length) continue;
      if (partOf(one.bytes, from).hash !== hash) return false;
    }
    open = open.filter(({ part, got }) => got < part.length);
    at += piece.length;
  }
  return true;
}

/** Knows which compressed files are still being written. */
export class Completeness {
  readonly #seen = new Map<string, { size: number; since: number }>();
  readonly #now: () => number;
  readonly #monotonic: () => number;
  /** There is no time to wait. */
  isHasty = false;

  constructor(clock: { now(): number; monotonic(): number }) {
    this.#now = () => clock.now();
    this.#monotonic = () => clock.monotonic();
  }

  /** Whether files were found that have to be looked at again. */
  get isWaiting(): boolean {
    return this.#seen.size > 0;
  }

  isComplete(path: string, stats: Stats): boolean {
    if (!isGzipName(path) || this.isHasty) return true;
    const key = inodeOf(stats);
    const seen = this.#seen.get(key);
    const now = this.#monotonic();
    const isOld = this.#now() - stats.ctimeMs > SURELY_COMPLETE_MS;
    if (isOld || (seen?.size === stats.size && now - seen.since >= COMPLETE_AFTER_MS)) {
      this.#seen.delete(key);
      return true;
    }
    if (seen?.size !== stats.size) this.#seen.set(key, { size: stats.size, since: now });
    return false;
  }
}
