/** An append-only file of checksummed JSON lines: what a state machine wrote before a crash can be read again, whole or not at all. */
import { closeSync, fdatasync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { writeFileAtomic } from "./atomic-file.ts";
import { setAside } from "./set-aside.ts";

/**
 * `none`: every line is there. `torn`: the last line was being written, which is what a kill leaves. `damaged`: lines that were
 * there once cannot be read, nor what stood behind them.
 */
export type JournalDamage = "none" | "torn" | "damaged";

export interface OpenedJournal {
  readonly journal: Journal;
  /** Parsed lines up to the first that cannot be read. */
  readonly lines: readonly unknown[];
  readonly damage: JournalDamage;
  /** Where a damaged file was put; the journal has no file then until `replace`. */
  readonly setAsideAs: string | undefined;
}

const MODE = 0o600;
const CHECKSUM_DIGITS = 8;

/** Reads what is there. A missing file is an empty journal; it is made by the first `replace`. Errors are the file system's. */
export function openJournal(path: string): OpenedJournal {
  const content = readIfThere(path);
  if (content === undefined) {
    return { journal: new Journal(path), lines: [], damage: "none", setAsideAs: undefined };
  }
  const { lines, goodBytes, damage } = parse(content);
  if (damage === "damaged") {
    const setAsideAs = setAside(path);
    return { journal: new Journal(path), lines, damage, setAsideAs };
  }
  const journal = new Journal(path, goodBytes);
  return { journal, lines, damage, setAsideAs: undefined };
}

/** Writes never throw: `false` means that nothing of it is in the file, and `trouble` says why. */
export class Journal {
  readonly #path: string;
  #file: number | undefined;
  #size = 0;
  #trouble: unknown;
  #syncs = 0;
  #isClosed = false;
  /** Replaced while a sync was under way in another thread: closed when that is over. */
  readonly #retired: number[] = [];

  /** `goodBytes` is where the next line goes; undefined for a journal without a file. */
  constructor(path: string, goodBytes?: number) {
    this.#path = path;
    if (goodBytes === undefined) return;
    this.#file = openSync(path, "r+");
    this.#size = goodBytes;
    ftruncateSync(this.#file, goodBytes);
  }

  /** Bytes in the file. */
  get size(): number {
    return this.#size;
  }

  /** What the last write failed with; undefined after one that succeeded. */
  get trouble(): unknown {
    return this.#trouble;
  }

  /** Survives the end of the process when it returns true, the end of the machine only after `sync`. */
  append(line: unknown): boolean {
    if (this.#file === undefined) return false;
    const bytes = Buffer.from(encode(line));
    try {
      for (let done = 0; done < bytes.length;) {
        done += writeSync(this.#file, bytes, done, bytes.length - done, this.#size + done);
      }
    } catch (error) {
      this.#trouble = error;
      this.#cut(this.#file);
      return false;
    }
    this.#size += bytes.length;
    this.#trouble = undefined;
    return true;
  }

  /** Begins anew with these lines, in one step; they are on the disk when it returns true. */
  replace(lines: readonly unknown[]): boolean {
    // The file may be somebody else's by now.
    if (this.#isClosed) return false;
    const bytes = Buffer.from(lines.map(encode).join(""));
    try {
      writeFileAtomic(this.#path, bytes, MODE);
      const file = openSync(this.#path, "r+");
      this.#retire();
      this.#file = file;
    } catch (error) {
      this.#trouble = error;
      return false;
    }
    this.#size = bytes.length;
    this.#trouble = undefined;
    return true;
  }

  /** Resolves true when everything appended so far is on the disk. */
  async sync(): Promise<boolean> {
    const file = this.#file;
    if (file === undefined) return false;
    this.#syncs += 1;
    const error = await new Promise<Error | null>((resolve) => fdatasync(file, resolve));
    this.#syncs -= 1;
    if (this.#syncs === 0) for (const old of this.#retired.splice(0)) closeSync(old);
    // Replaced meanwhile: the new file holds the lines and was synced.
    if (error === null || file !== this.#file) return true;
    this.#trouble = error;
    return false;
  }

  /** From now on every write is refused. */
  close(): void {
    this.#isClosed = true;
    this.#retire();
    this.#file = undefined;
  }

  #retire(): void {
    if (this.#file === undefined) return;
    if (this.#syncs > 0) this.#retired.push(this.#file);
    else closeSync(this.#file);
  }

  /** Half a line that stays costs nothing either: a reader takes it for what a kill leaves. */
  #cut(file: number): void {
    try {
      ftruncateSync(file, this.#size);
    } catch (error) {
      this.#trouble ??= error;
    }
  }
}

function encode(line: unknown): string {
  const json = JSON.stringify(line);
  return `${prefixOf(json)}${json}\n`;
}

/** Checksum and a space. */
function prefixOf(json: string): string {
  return `${crc32(json).toString(16).padStart(CHECKSUM_DIGITS, "0")} `;
}

function parse(content: Buffer): { lines: unknown[]; goodBytes: number; damage: JournalDamage } {
  const lines: unknown[] = [];
  let from = 0;
  while (from < content.length) {
    const end = content.indexOf(10, from);
    const line = end < 0 ? undefined : decode(content.toString("utf8", from, end));
    if (line === undefined) return { lines, goodBytes: from, damage: end < 0 ? "torn" : "damaged" };
    lines.push(line.value);
    from = end + 1;
  }
  return { lines, goodBytes: from, damage: "none" };
}

function decode(line: string): { value: unknown } | undefined {
  const json = line.slice(CHECKSUM_DIGITS + 1);
  if (json === "" || !line.startsWith(prefixOf(json))) return undefined;
  try {
    return { value: JSON.parse(json) };
  } catch {
    return undefined; // A checksum of 32 bits fits by chance once in a while.
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
