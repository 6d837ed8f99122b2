/** Reads the next lines of one file, and sees when other content has come into its place. */
import { fstatSync, readSync } from "node:fs";
import { nextData } from "../../../lib/file-calls.ts";
import type { Chunk } from "./chunk.ts";
import { cutLines } from "./cut-lines.ts";
import type { Descriptors } from "./descriptors.ts";
import { GzipText } from "./gzip-text.ts";
import { HEAD_BYTES, partOf, readPart } from "./identity.ts";
import type { RecentBytes } from "./recent-bytes.ts";
import type { LogFile } from "./log-file.ts";

/** Most that one read takes. */
const READ_BYTES = 256 * 1024;
const LINE_END = 10;
/** Every read begins this much before its offset, and compares: truncated and written anew up to here shows. */
const COMPARED_BYTES = 64;

/** "nothing": read to its end for now. "replaced": its content is gone. "missing": it could not be opened under its name. */
export type ReadResult = Chunk | "nothing" | "more" | "replaced" | "missing";

export interface ReaderOptions {
  readonly maxLine: number;
  readonly descriptors: Descriptors;
  readonly recent: RecentBytes;
  readonly skippedNuls: (bytes: number) => void;
  /** A compressed file that ended before its end. */
  readonly damaged: (log: LogFile, error: Error) => void;
}

export class ChunkReader {
  readonly #options: ReaderOptions;
  #buffer = Buffer.allocUnsafeSlow(0);
  readonly #texts = new WeakMap<GzipText, Window>();

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** `mayEnd`: nothing more will be written to it. Throws what the file system says. */
  read(log: LogFile, mayEnd: boolean): ReadResult | Promise<ReadResult> {
    const fd = this.#options.descriptors.open(log);
    if (fd === "missing") return "missing";
    if (log.where?.isGzip === true) return this.#readGzip(log, fd);
    return this.#readPlain(log, { fd, mayEnd, room: Math.min(READ_BYTES, this.#options.maxLine + 1) });
  }

  #readPlain(log: LogFile, read: { fd: number; mayEnd: boolean; room: number }): ReadResult {
    const { fd, mayEnd, room } = read;
    const before = log.before;
    const compared = Math.min(COMPARED_BYTES, before.length);
    const buffer = this.#roomFor(COMPARED_BYTES + room);
    const got = readSync(fd, buffer, 0, compared + room, log.readTo - compared);
    if (!isAsBefore(log, buffer.subarray(0, got), compared)) return "replaced";
    const left = Math.max(0, Math.min(got - compared, (log.limit ?? Number.POSITIVE_INFINITY) - log.readTo));
    const bytes = buffer.subarray(compared, compared + left);
    const isEnd = left < room;
    if (isEnd) log.size = Math.max(log.readTo + left, log.limit ?? 0);
    if (bytes[0] === 0 && !log.hasHandedOut && log.readTo === log.begin && compared === 0)
      return this.#skipNuls(log, fd, bytes);
    if (bytes[0] === 0 && !isEnd && this.#stepOverHole(log, fd, bytes)) return "more";
    if (compared === 0 && log.readTo === log.begin && bytes.length > log.head.length)
      log.head = partOf(bytes.subarray(0, HEAD_BYTES), log.begin);
    const { maxLine } = this.#options;
    const { length, isCut } = cutLines(bytes, { isEnd, mayEnd, maxLine });
    if (length === 0 && !isEnd) return this.#readPlain(log, { fd, mayEnd, room: maxLine + 1 });
    const isAll = isEnd && length === bytes.length;
    // An unfinished line waits for more, unless nothing more will come.
    log.isCaughtUp = isAll || (isEnd && !mayEnd && !isCut);
    const isLast = isAll && mayEnd;
    if (length > 0 || (isLast && log.hasHandedOut && !log.hasSaidLast))
      return this.#handOut(log, { bytes: bytes.subarray(0, length), isCut, isLast, fd });
    if (isLast) {
      log.hasSaidLast = true;
      log.finishedAt = log.limit === undefined ? log.readTo : undefined;
    }
    return "nothing";
  }

  #handOut(log: LogFile, part: { bytes: Uint8Array; isCut: boolean; isLast: boolean; fd?: number }): Chunk {
    const { bytes, isCut, isLast, fd } = part;
    const start = log.readTo;
    log.handOut(bytes);
    this.#options.recent.note(log, bytes);
    log.hasSaidLast = isLast;
    log.finishedAt = isLast && log.limit === undefined ? log.readTo : undefined;
    const { from, length } = log.head;
    // The beginning grows with the file until it is long enough to tell it from others.
    if (fd !== undefined && length < HEAD_BYTES && log.readTo > from + length)
      log.head = partOf(readPart(fd, log.begin, Math.min(HEAD_BYTES, log.readTo - log.begin)), log.begin);
    return { origin: log.origin, start, bytes, isCut, isLast };
  }

  /**
   * NULs at the beginning are no text: a writer that does not append went on at its old offset after the file had been emptied,
   * or the blocks were given back. Holes are stepped over, however large.
   */
  #skipNuls(log: LogFile, fd: number, bytes: Uint8Array): ReadResult {
    const from = log.readTo;
    let to = from + bytes.findIndex((byte) => byte !== 0);
    if (to < from) {
      to = from + bytes.length;
      to = Math.min(Math.max(to, nextData(fd, to) ?? to), log.limit ?? Number.POSITIVE_INFINITY);
    }
    log.skipTo(to);
    this.#options.skippedNuls(to - from);
    return "more";
  }

  /** A hole amid the text in which a whole read of NULs fits, and behind which there is something: nobody ever wrote there. */
  #stepOverHole(log: LogFile, fd: number, bytes: Uint8Array): boolean {
    if (!log.hasHandedOut || !isAllNuls(bytes)) return false;
    const from = log.readTo;
    const data = nextData(fd, from + bytes.length);
    const to = Math.min(data ?? from, log.limit ?? Number.POSITIVE_INFINITY);
    if (to <= from + bytes.length) return false;
    log.stepTo(to);
    this.#options.skippedNuls(to - from);
    return true;
  }

  async #readGzip(log: LogFile, fd: number): Promise<ReadResult> {
    if (log.isStuck || (log.isCaughtUp && log.hasSaidLast)) return "nothing";
    const text = (log.gzip ??= await this.#openText(log, fd));
    const state = this.#texts.get(text);
    if (state === undefined) return "nothing";
    state.bytes.copyWithin(0, state.handedOut, state.length);
    state.length -= state.handedOut;
    state.handedOut = 0;
    const { maxLine } = this.#options;
    const room = maxLine + 1;
    let isEnd = await fill(state, text, Math.min(READ_BYTES, room));
    if (!isEnd && !state.bytes.subarray(0, state.length).includes(LINE_END))
      isEnd = await fill(state, text, room);
    const window = state.bytes.subarray(0, Math.min(state.length, room));
    const isWindowEnd = isEnd && window.length === state.length;
    const { length, isCut } = cutLines(window, { isEnd: isWindowEnd, mayEnd: true, maxLine });
    state.handedOut = length;
    const isLast = isEnd && length === state.length;
    log.size = log.readTo + state.length;
    log.isCaughtUp = isLast;
    if (isLast) {
      log.wholeSize = fstatSync(fd).size;
      if (text.error !== undefined) this.#options.damaged(log, text.error);
    }
    if (length === 0 && log.hasSaidLast) return "nothing";
    return this.#handOut(log, { bytes: window.subarray(0, length), isCut, isLast });
  }

  /** Passes over what has been read of it. */
  async #openText(log: LogFile, fd: number): Promise<GzipText> {
    const text = new GzipText(fd);
    const state: Window = { bytes: Buffer.alloc(READ_BYTES), length: 0, handedOut: 0 };
    this.#texts.set(text, state);
    let passed = 0;
    while (passed < log.readTo) {
      const part = await text.next();
      if (part === undefined) break;
      const over = Math.min(part.length, log.readTo - passed);
      passed += part.length;
      append(state, part.subarray(over));
    }
    return text;
  }

  #roomFor(length: number): Buffer {
    if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafeSlow(length);
    return this.#buffer.subarray(0, length);
  }
}

/** Text that is decoded and not handed out yet. */
interface Window {
  bytes: Buffer;
  length: number;
  handedOut: number;
}

/** Compares it with itself, one byte further on: the fastest way there is. */
function isAllNuls(bytes: Uint8Array): boolean {
  return bytes[0] === 0 && Buffer.compare(bytes.subarray(1), bytes.subarray(0, -1)) === 0;
}

/** Whether what was read of it is still there. */
function isAsBefore({ before, head, readTo, begin }: LogFile, got: Buffer, compared: number): boolean {
  if (compared > 0) {
    const known = before.subarray(before.length - compared);
    return got.length >= compared && got.compare(known, 0, compared, 0, compared) === 0;
  }
  if (head.length === 0 || head.from !== begin || readTo !== begin) return true;
  return partOf(got.subarray(0, head.length), begin).hash === head.hash;
}

/** Decodes until so many bytes wait. True: there are no more. */
async function fill(window: Window, text: GzipText, length: number): Promise<boolean> {
  while (window.length < length) {
    const part = await text.next();
    if (part === undefined) return true;
    append(window, part);
  }
  return false;
}

function append(window: Window, part: Uint8Array): void {
  const length = window.length + part.length;
  if (length > window.bytes.length) {
    const larger = Buffer.alloc(length);
    window.bytes.copy(larger, 0, 0, window.length);
    window.bytes = larger;
  }
  window.bytes.set(part, window.length);
  window.length = length;
}
