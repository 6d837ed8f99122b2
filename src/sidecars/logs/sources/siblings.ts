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

/** A compressed file is taken for complete when its size has been the same for so long. */
const COMPLETE_AFTER_MS = 1_500;
/** Copies are compared by so many bytes at both ends. */
const COMPARED_BYTES = 1024;
/** Or when the file system says that it was last changed so long ago. */
const SURELY_COMPLETE_MS = 60_000;

/** Files beside a log whose names begin with its own; not the log itself. */
export function siblingsOf(name: string): Sibling[] {
  const own = basename(name);
  const siblings: Sibling[] = [];
  for (const path of filesIn(dirname(name))) {
    if (!mayBeCopyOf(own, basename(path))) continue;
    const stats = statIfThere(path);
    if (stats?.isFile() === true) siblings.push({ path, stats });
  }
  return siblings;
}

/** Paths of a folder's entries; none where it cannot be read. */
export function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

export function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** A content that was read to its very end does not go on elsewhere: what begins like it and is longer is something else. */
function isLongEnough(length: number, { readTo, finishedAt }: LogFile): boolean {
  return finishedAt === readTo ? length === readTo : length >= readTo;
}

/** Whether a plain file holds what was read of another. False for one that cannot be read. */
export function isHeldBy(sibling: Sibling, log: LogFile): boolean {
  const content = { head: log.head, tail: log.tail() };
  if (content.head.length === 0) return false;
  return (
    withFile(sibling, (fd) => isLongEnough(fstatSync(fd).size, log) && holdsContent(fd, content)) ?? false
  );
}

/** Whether a file is a copy of the beginning of an open one, as far as its first and its last bytes say. */
export function isCopyOfBeginning(sibling: Sibling, original: number): boolean {
  return (
    withFile(sibling, (copy) => {
      const { size } = fstatSync(copy);
      return [0, Math.max(0, size - COMPARED_BYTES)].every((from) => {
        const length = Math.min(COMPARED_BYTES, size);
        return Buffer.from(readPart(copy, from, length)).equals(readPart(original, from, length));
      });
    }) ?? false
  );
}

/** Undefined where it cannot be read, or another file has come to its path. */
export function withFile<Result>({ path, stats }: Sibling, use: (fd: number) => Result): Result | undefined {
  let fd: number | undefined;
  try {
    fd = openIfThere(path);
    return fd === undefined || inodeOf(fstatSync(fd)) !== inodeOf(stats) ? undefined : use(fd);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** What stands before the place where reading goes on is compared with each read. */
export function recallEnd(log: LogFile, fd: number): void {
  const from = Math.max(log.begin, log.readTo - TAIL_BYTES);
  const bytes = readPart(fd, from, log.readTo - from);
  if (bytes.length === log.readTo - from) log.recall(bytes);
  else log.isReplaced = true;
}

/** Whether the text of a compressed file begins with what was read of a log. */
export async function isHeldByGzip(file: Sibling, log: LogFile): Promise<boolean> {
  const { head } = log;
  if (head.length === 0) return false;
  const holds = await withGzip(file, (text) => holdsParts(text, [head, log.tail()]));
  if (holds !== true || log.finishedAt !== log.readTo) return holds === true;
  return (await endOfGzip(file))?.length === log.readTo;
}

/** Whether the text of a compressed file is the beginning of an open one, as far as its last bytes say. */
export async function isGzipOfBeginning(file: Sibling, original: number): Promise<boolean> {
  const end = await endOfGzip(file);
  if (end === undefined) return false;
  const { length, bytes } = end;
  return Buffer.from(bytes).equals(readPart(original, length - bytes.length, bytes.length));
}

export interface End {
  /** Of the whole text. */
  readonly length: number;
  /** Its last ones. */
  readonly bytes: Uint8Array;
}

export function endOfGzip(file: Sibling): Promise<End | undefined> {
  return withGzip(file, async (text) => {
    let bytes = Buffer.alloc(0);
    let length = 0;
    for (let piece = await text.next(); piece !== undefined; piece = await text.next()) {
      bytes = Buffer.concat([bytes, piece]).subarray(-TAIL_BYTES);
      length += piece.length;
    }
    return { length, bytes };
  });
}

export function endOfPlain(file: Sibling): End | undefined {
  return withFile(file, (fd) => {
    const { size } = fstatSync(fd);
    const from = Math.max(0, size - TAIL_BYTES);
    return { length: size, bytes: readPart(fd, from, size - from) };
  });
}

/** The hash of the part of a file that another's beginning is. */
export function beginningHash(file: Sibling, { from, length }: Part): string | undefined {
  return withFile(file, (fd) => partOf(readPart(fd, from, length), from).hash);
}

async function withGzip<Result>(
  { path, stats }: Sibling,
  use: (text: GzipText) => Promise<Result>,
): Promise<Result | undefined> {
  let fd: number | undefined;
  let text: GzipText | undefined;
  try {
    fd = openIfThere(path);
    if (fd === undefined || inodeOf(fstatSync(fd)) !== inodeOf(stats)) return undefined;
    text = new GzipText(fd);
    return await use(text);
  } catch {
    return undefined;
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
