/**
 * The file in which records wait that no retry can deliver: one JSON object per line, oldest first, for people and for `jq`
 * as much as for us.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
} from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import type { DeadLetter } from "../kernel/dead-letters.ts";

/** `resend` is what the kind needs beside the record to send it again: plain JSON. */
export interface KeptLetter extends DeadLetter {
  readonly resend: unknown;
}

export interface AppendedLetters {
  /** How many, from the first on, are on the disk. */
  readonly count: number;
  /** Why it was not all: `"full"`, or what the file system said. */
  readonly trouble: unknown;
}

const MODE = 0o600;
const READ_BYTES = 256 * 2 ** 10;
const LINE_END = 10;

/** Calls wait for each other. One object per file. */
export class DeadLetterFile {
  readonly #path: string;
  readonly #limitBytes: number;
  #size: number;
  #turn: Promise<unknown> = Promise.resolve();

  /** Made when it is missing. Half a line at its end, which a kill leaves, is cut off. Throws the file system's errors. */
  constructor(path: string, limitBytes: number) {
    this.#path = path;
    this.#limitBytes = limitBytes;
    this.#size = openWhole(path);
  }

  /** Bytes in the file. */
  get size(): number {
    return this.#size;
  }

  /** Never rejects. What is counted survives a crash of the machine. */
  append(letters: readonly KeptLetter[]): Promise<AppendedLetters> {
    return this.#inTurn(() => this.#append(letters));
  }

  /** Every letter in the file at this time; lines that cannot be read are left out. */
  async list(): Promise<KeptLetter[]> {
    const letters: KeptLetter[] = [];
    await this.#inTurn(async () => {
      for await (const lines of this.#lines()) for (const line of lines) letters.push(...letterOf(line));
    });
    return letters;
  }

  /** Takes letters out; everything else stays as it is, lines that cannot be read included. Rejects with the file system's errors. */
  remove(ids: ReadonlySet<string>): Promise<void> {
    return this.#inTurn(async () => {
      const draft = `${this.#path}.draft`;
      const file = await open(draft, "w", MODE);
      let size = 0;
      try {
        for await (const lines of this.#lines()) {
          const kept = lines.filter((line) => !ids.has(letterOf(line)[0]?.id ?? ""));
          const bytes = Buffer.from(kept.map((line) => `${line}\n`).join(""));
          await writeAll(file, bytes, size);
          size += bytes.length;
        }
        await file.sync();
        await rename(draft, this.#path);
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      } finally {
        await file.close();
      }
      this.#size = size;
    });
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #append(letters: readonly KeptLetter[]): Promise<AppendedLetters> {
    try {
      this.#noteEmptied();
    } catch (error) {
      return { count: 0, trouble: error };
    }
    const lines: Buffer[] = [];
    let size = this.#size;
    for (const letter of letters) {
      const line = Buffer.from(`${JSON.stringify(letter)}\n`);
      if (size + line.length > this.#limitBytes) break;
      size += line.length;
      lines.push(line);
    }
    const trouble = lines.length === letters.length ? undefined : "full";
    if (lines.length === 0) return { count: 0, trouble };
    try {
      const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, MODE);
      try {
        await writeAll(file, Buffer.concat(lines), this.#size);
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (error) {
      this.#cut();
      return { count: 0, trouble: error };
    }
    this.#size = size;
    return { count: lines.length, trouble };
  }

  /** Somebody has removed or emptied it: what comes next begins there, not behind a hole. */
  #noteEmptied(): void {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    if (size < this.#size) this.#size = size === 0 ? 0 : openWhole(this.#path);
  }

  #cut(): void {
    try {
      truncateSync(this.#path, this.#size);
    } catch (error) {
      // The file is gone or its disk is: the next start cuts half a line off.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }

  /** Whole lines, some at a time. */
  async *#lines(): AsyncIterable<string[]> {
    const file = await open(this.#path, constants.O_RDONLY).catch(absent);
    if (file === undefined) return;
    try {
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      let rest = Buffer.alloc(0);
      for (let at = 0; at < this.#size;) {
        const { bytesRead } = await file.read(buffer, 0, Math.min(READ_BYTES, this.#size - at), at);
        if (bytesRead === 0) break;
        at += bytesRead;
        const bytes = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        const end = bytes.lastIndexOf(LINE_END) + 1;
        rest = bytes.subarray(end);
        if (end > 0) yield bytes.toString("utf8", 0, end - 1).split("\n");
      }
    } finally {
      await file.close();
    }
  }
}

/** One or none. */
function letterOf(line: string): KeptLetter[] {
  try {
    const value: unknown = JSON.parse(line);
    return isLetter(value) ? [value] : [];
  } catch {
    return []; // Somebody has edited the file, or the disk has.
  }
}

function isLetter(value: unknown): value is KeptLetter {
  if (typeof value !== "object" || value === null || !("resend" in value)) return false;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  return ["id", "at", "sink", "reason", "origin", "record"].every((name) => typeof fields[name] === "string");
}

function absent(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Cuts the file behind its last line end; gives its size. */
function openWhole(path: string): number {
  const file = openSync(path, "a+", MODE);
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let end = size; end > 0;) {
      const from = Math.max(0, end - READ_BYTES);
      const read = readSync(file, buffer, 0, end - from, from);
      const lineEnd = buffer.subarray(0, read).lastIndexOf(LINE_END);
      if (lineEnd >= 0) {
        if (from + lineEnd + 1 < size) ftruncateSync(file, from + lineEnd + 1);
        return from + lineEnd + 1;
      }
      end = from;
    }
    if (size > 0) ftruncateSync(file, 0);
    return 0;
  } finally {
    closeSync(file);
  }
}
