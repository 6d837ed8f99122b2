/** Open files, no more than the process can bear: an open file keeps its inode, so nobody can use it for something else. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { inodeOf, isSameBirth, placeOf } from "./identity.ts";
import type { LogFile } from "./log-file.ts";
import { isGone } from "./walk.ts";

const READ = constants.O_RDONLY | constants.O_NONBLOCK;
const FEWEST = 64;
/** More than this gives nothing: a file is only at risk while it is closed and rotated. */
const MOST = 4096;

/** How many files one source may hold open: half of what the process may, since others need some too. */
export function descriptorLimit(limits = readLimits()): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  const most = soft === "unlimited" ? MOST : Math.floor(Number(soft ?? 0) / 2);
  return Math.min(MOST, Math.max(FEWEST, most));
}

function readLimits(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return "";
  }
}

export class Descriptors {
  readonly #limit: number;
  /** Longest unused first. */
  readonly #open = new Set<LogFile>();

  constructor(limit = descriptorLimit()) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#open.size;
  }

  /** "missing": what stands at its path is another file, or nothing. Throws what the file system says, EACCES for example. */
  open(log: LogFile): number | "missing" {
    if (log.fd !== undefined) {
      this.#open.delete(log);
      this.#open.add(log);
      return log.fd;
    }
    const { where } = log;
    if (where === undefined) return "missing";
    this.#makeRoom();
    const fd = openIfThere(where.path);
    if (fd === undefined) return "missing";
    const place = placeOf(fstatSync(fd));
    if (inodeOf(place) !== inodeOf(where.place) || !isSameBirth(place, where.place)) {
      closeSync(fd);
      return "missing";
    }
    log.fd = fd;
    this.#open.add(log);
    return fd;
  }

  /** Whether there is room for a file that need not be open right now. */
  get hasRoom(): boolean {
    return this.#open.size < this.#limit;
  }

  close(log: LogFile): void {
    log.gzip?.close();
    log.gzip = undefined;
    if (log.fd !== undefined) closeSync(log.fd);
    log.fd = undefined;
    this.#open.delete(log);
  }

  closeAll(): void {
    for (const log of this.#open) this.close(log);
  }

  /** Only a file that has been read to its end and still has its name is closed for the sake of another. */
  #makeRoom(): void {
    if (this.hasRoom) return;
    for (const log of this.#open) {
      if (!log.isCaughtUp || log.leavingSince !== undefined) continue;
      this.close(log);
      if (this.hasRoom) return;
    }
  }
}

/** A regular file that is opened for reading; undefined when it is gone. A FIFO in its place would not block. */
export function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, READ);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
