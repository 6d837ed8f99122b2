/** Files take turns in being read. */
import type { Host } from "../../../kernel/host.ts";
import type { Catalog } from "./catalog.ts";
import type { Chunk } from "./chunk.ts";
import type { ChunkReader, ReadResult } from "./chunk-reader.ts";
import type { LogFile } from "./log-file.ts";
import { Pause } from "./pause.ts";
import { statIfThere } from "./siblings.ts";
import { unreadable } from "./trouble.ts";
import type { Waker } from "./waker.ts";

export interface TurnsOptions {
  readonly host: Host;
  readonly catalog: Catalog;
  readonly reader: ChunkReader;
  readonly waker: Waker;
  /** How long a file without its name has to be unchanged until it is at its end, milliseconds. */
  readonly quietMs: number;
  /** Ours, and nothing is added to it any more. */
  readonly isClosed: (path: string) => boolean;
  /** A file is not what or where it was. */
  readonly lost: () => void;
}

/** Bytes handed out, or files tried at so many bytes each, before others have their turn: about 1 ms of reading. */
const SLICE_BYTES = 256 * 1024;
const PER_READ = 8 * 1024;

export class Turns {
  readonly #options: TurnsOptions;
  readonly #pause = new Pause(SLICE_BYTES);
  /** Files that may have something to read, in turn. */
  readonly #queue = new Set<LogFile>();
  #isStopped = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#queue.size === 0;
  }

  /** It may have something to read. */
  add(log: LogFile): void {
    if (log.isCaughtUp || log.isReplaced || (log.isStuck && log.hasSaidLast)) return;
    this.#queue.add(log);
    this.#options.waker.wake();
  }

  /** Nothing is handed out any more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** One chunk of the next file that has something; undefined when none has. */
  async next(): Promise<Chunk | undefined> {
    for (let isMoving = true; isMoving && !this.#isStopped;) {
      isMoving = false;
      for (const log of this.#queue) {
        this.#pause.add(PER_READ);
        await this.#pause.take();
        if (this.#hasStopped()) return undefined;
        if (!this.#queue.has(log) || this.#mustWait(log)) continue;
        this.#queue.delete(log);
        isMoving = true;
        const chunk = await this.#tryRead(log);
        if (chunk === undefined) continue;
        this.#pause.add(chunk.bytes.length);
        this.#options.catalog.remember(log, this.#options.host.monotonic());
        return chunk;
      }
    }
    return undefined;
  }

  /** Whether nothing more will be written to it. */
  mayEnd(log: LogFile): boolean {
    const { host, quietMs, isClosed } = this.#options;
    if (log.limit !== undefined || (log.where !== undefined && isClosed(log.where.path))) return true;
    if (log.leavingSince === undefined) return false;
    return host.monotonic() - Math.max(log.changedAt, log.leavingSince) >= quietMs;
  }

  #hasStopped(): boolean {
    return this.#isStopped;
  }

  /** Lines come in the order they were written, also across a rotation. */
  #mustWait(log: LogFile): boolean {
    const { after } = log;
    if (after === undefined) return false;
    const isKnown = this.#options.catalog.logs.has(after);
    const isDone = after.isCaughtUp || after.isGone || after.trouble !== undefined || !isKnown;
    if (isDone && !after.isReplaced) log.after = undefined;
    return log.after !== undefined;
  }

  async #tryRead(log: LogFile): Promise<Chunk | undefined> {
    if (log.isReplaced) return undefined;
    if (log.isGone) return lastWord(log);
    let result: ReadResult;
    try {
      result = await this.#options.reader.read(log, this.mayEnd(log));
      if (!log.isStuck) log.trouble = undefined;
    } catch (error) {
      if (this.#isStopped) return undefined;
      const path = log.where?.path ?? log.name;
      log.trouble = unreadable(path, error, statIfThere(path));
      return undefined;
    }
    log.noteGrowth(this.#options.host.monotonic());
    if (result === "nothing") return undefined;
    if (result === "replaced" || result === "missing") {
      log.isReplaced = result === "replaced";
      // Where it is not found again, one more look would not find it either.
      if (log.isReplaced || !log.isMissing) this.#options.lost();
      log.isMissing = !log.isReplaced;
      return undefined;
    }
    log.isMissing = false;
    if (!log.isCaughtUp) this.#queue.add(log);
    return result === "more" ? undefined : result;
  }
}

/** Of a file whose content is nowhere any more. */
function lastWord(log: LogFile): Chunk | undefined {
  log.isCaughtUp = true;
  if (!log.hasHandedOut || log.hasSaidLast) return undefined;
  log.hasSaidLast = true;
  return { origin: log.origin, start: log.readTo, bytes: new Uint8Array(), isCut: false, isLast: true };
}
