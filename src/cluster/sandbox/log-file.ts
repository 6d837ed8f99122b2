/** The log of one container on disk: appended to, rotated by size, never more than a few files. */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

/** kubelet `containerLogMaxSize` and `containerLogMaxFiles`; the files count includes the current one. */
const MAX_BYTES = 10 * 1024 * 1024;
const MAX_FILES = 5;

export interface LogFileOptions {
  readonly path: string;
  readonly maxBytes?: number;
  readonly maxFiles?: number;
}

/**
 * Rotation renames `NAME` to `NAME.YYYYMMDD-HHMMSS.mmm` (UTC) and goes on in a new `NAME`, always between two lines: who
 * follows the file reads its open one to the end, then opens the new one. Rotated names sort by age.
 */
export class LogFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #maxFiles: number;
  #fd: number;
  #bytes: number;
  #lastRotation = 0;

  constructor({ path, maxBytes = MAX_BYTES, maxFiles = MAX_FILES }: LogFileOptions) {
    mkdirSync(dirname(path), { recursive: true });
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#maxFiles = maxFiles;
    this.#fd = openSync(path, "a", 0o640);
    this.#bytes = fstatSync(this.#fd).size;
  }

  /** Bytes in the current file. */
  get size(): number {
    return this.#bytes;
  }

  /** Takes away what is behind `size`: lines that were not meant to be there. */
  cutTo(size: number): void {
    if (size >= this.#bytes) return;
    ftruncateSync(this.#fd, size);
    this.#bytes = size;
  }

  /** Rotates now if `append` would do so for this many bytes. */
  makeRoom(bytes: number, now: number): void {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) this.#rotate(now);
  }

  /**
   * Appends whole lines, all or nothing. Throws what the file system says (ENOSPC, EDQUOT): the caller drops the lines,
   * because a container must not hang on a full disk.
   */
  append(lines: Uint8Array, now: number): void {
    this.makeRoom(lines.length, now);
    let written = 0;
    try {
      while (written < lines.length) written += writeSync(this.#fd, lines, written);
    } catch (error) {
      if (written > 0) ftruncateSync(this.#fd, this.#bytes);
      throw error;
    }
    this.#bytes += written;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #rotate(now: number): void {
    this.#lastRotation = Math.max(now, this.#lastRotation + 1);
    renameSync(this.#path, `${this.#path}.${rotationStamp(this.#lastRotation)}`);
    const next = openSync(this.#path, "a", 0o640);
    closeSync(this.#fd);
    this.#fd = next;
    this.#bytes = 0;
    const rotated = rotatedLogs(this.#path);
    for (const old of rotated.slice(0, Math.max(0, rotated.length - (this.#maxFiles - 1))))
      rmSync(old, { force: true });
  }
}

/** The rotated files of a log, oldest first, without the current one. */
export function rotatedLogs(path: string): readonly string[] {
  const prefix = `${basename(path)}.`;
  const folder = dirname(path);
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && /^\d{8}-\d{6}\.\d{3}$/.test(name.slice(prefix.length)))
    .sort()
    .map((name) => join(folder, name));
}

/** `20060102-150405.000` in UTC. */
function rotationStamp(now: number): string {
  const [day = "", time = ""] = new Date(now).toISOString().split("T");
  return `${day.replaceAll("-", "")}-${time.replaceAll(":", "").replace("Z", "")}`;
}
