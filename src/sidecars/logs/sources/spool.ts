/** Keeps on disk what cannot be read twice, in numbered files that are read and removed like any log; bounded, so that writers wait. */
import { closeSync, mkdirSync, openSync, readdirSync, readSync, statSync, writeSync } from "node:fs";
import { constants } from "node:fs";
import { basename, join } from "node:path";
import { lstatIfThere } from "../../../lib/lstat-if-there.ts";
import type { Spooled } from "./spooled.ts";

export interface SpoolOptions {
  readonly folder: string;
  /** Unlike that of any other spool in the folder; letters, digits, `.`, `_` and `-`. */
  readonly name: string;
  readonly origin: string;
  /** All segments together take no more than this, and one line. */
  readonly maxBytes: number;
}

const MAX_SEGMENT_BYTES = 8 * 2 ** 20;
/** At least so many segments, or what is delivered could not be removed while there is more. */
const LEAST_SEGMENTS = 8;
/** A segment waits for the end of a line until it has grown to this multiple. */
const MOST_OVERDUE = 3;
const DIGITS = 10;
const NEWLINE = 0x0a;

export class Spool implements Spooled {
  readonly origin: string;
  readonly pattern: string;
  readonly #folder: string;
  readonly #name: string;
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  /** Sizes of closed segments by path, as far as they are still there. */
  readonly #closed = new Map<string, number>();
  #closedBytes = 0;
  #number = 0;
  #fd: number | undefined;
  #size = 0;
  #endsLine = true;

  /** Goes on where the last process stopped. Throws what the file system says. */
  constructor({ folder, name, origin, maxBytes }: SpoolOptions) {
    this.origin = origin;
    this.pattern = join(folder, `${name}-${"[0-9]".repeat(DIGITS)}.log`);
    this.#folder = folder;
    this.#name = name;
    this.#maxBytes = maxBytes;
    this.#segmentBytes = Math.min(MAX_SEGMENT_BYTES, Math.ceil(maxBytes / LEAST_SEGMENTS));
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const numbers = this.#numbers();
    for (const number of numbers.slice(0, -1)) this.#noteClosed(this.#path(number));
    this.#number = numbers.at(-1) ?? 1;
    this.#open();
  }

  isClosed(path: string): boolean {
    return basename(path) < basename(this.#path(this.#number));
  }

  /** Descriptor of the open segment, for reading and writing at offsets. */
  get fd(): number {
    if (this.#fd === undefined) throw new TypeError("The spool is closed");
    return this.#fd;
  }

  /** Where the open segment ends. */
  get size(): number {
    return this.#size;
  }

  /** Whether the next byte begins a line. */
  get endsLine(): boolean {
    return this.#endsLine;
  }

  /** Whether the segment is large enough to be closed behind the next line. */
  get isDue(): boolean {
    return this.#size >= this.#segmentBytes;
  }

  /** Bytes until the segment is due, 1 at least. */
  get untilDue(): number {
    return Math.max(1, this.#segmentBytes - this.#size);
  }

  get bytes(): number {
    return this.#closedBytes + this.#size;
  }

  /** Bytes that may still come. Where they are fewer than wanted, what has been removed in the meantime is seen. */
  room(wanted = 1): number {
    if (this.#maxBytes - this.bytes < wanted) this.#forgetRemoved();
    return Math.max(0, this.#maxBytes - this.bytes);
  }

  /** Adds whole lines. Throws what the file system says; then none of them is there. */
  append(lines: Uint8Array): void {
    let written = 0;
    while (written < lines.length) {
      written += writeSync(this.fd, lines, written, lines.length - written, this.#size + written);
    }
    this.#grow(written, lines.at(-1) === NEWLINE);
  }

  /** Others have written so many bytes behind the end. */
  advance(bytes: number): void {
    const last = Buffer.alloc(1);
    readSync(this.fd, last, 0, 1, this.#size + bytes - 1);
    this.#grow(bytes, last[0] === NEWLINE);
  }

  /** A line that nobody will finish. */
  endLine(): void {
    if (!this.#endsLine) this.append(Buffer.from("\n"));
  }

  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  #grow(bytes: number, endsLine: boolean): void {
    this.#size += bytes;
    this.#endsLine = endsLine;
    if (this.isDue && (endsLine || this.#size >= MOST_OVERDUE * this.#segmentBytes)) this.#next();
  }

  #next(): void {
    const full = this.#path(this.#number);
    closeSync(this.fd);
    this.#noteClosed(full);
    this.#number++;
    this.#open();
  }

  #open(): void {
    const path = this.#path(this.#number);
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#size = 0;
    this.#endsLine = true;
    const { size } = statSync(path);
    if (size > 0) this.advance(size);
  }

  #noteClosed(path: string): void {
    const size = lstatIfThere(path)?.size;
    if (size === undefined) return;
    this.#closed.set(path, size);
    this.#closedBytes += size;
  }

  #forgetRemoved(): void {
    for (const [path, size] of this.#closed) {
      if (lstatIfThere(path) !== undefined) continue;
      this.#closed.delete(path);
      this.#closedBytes -= size;
    }
  }

  #path(number: number): string {
    return join(this.#folder, `${this.#name}-${String(number).padStart(DIGITS, "0")}.log`);
  }

  #numbers(): number[] {
    const start = `${this.#name}-`;
    return readdirSync(this.#folder)
      .filter((file) => file.startsWith(start) && /^\d{10}\.log$/.test(file.slice(start.length)))
      .map((file) => Number.parseInt(file.slice(start.length), 10))
      .toSorted((a, b) => a - b);
  }
}
