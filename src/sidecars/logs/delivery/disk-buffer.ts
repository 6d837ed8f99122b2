/** Keeps pieces on disk, oldest first, while a sink takes none: bounded, in files that are removed one by one as they are read. */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { setAside } from "../../../lib/set-aside.ts";
import type { BatchLimits } from "../sinks/sink.ts";
import type { Batch } from "./batch.ts";
import { type BlockHeader, HEADER_BYTES, type Kept } from "./block.ts";
import { DiskBatch } from "./disk-batch.ts";
import type { LaneChange } from "./lane-change.ts";
import { isBefore, type Position, type Span } from "./position.ts";
import {
  type ReadBlock,
  readBlock,
  scanSegment,
  type Segment,
  segmentNumber,
  truncateSegment,
} from "./segment.ts";
import { type Appended, writeBlocks } from "./write-blocks.ts";

export interface DiskBufferOptions {
  /** Made when it is not there. */
  readonly folder: string;
  /** What it is called in a lane's changes. */
  readonly name: "buffer" | "retry";
  /** Of files, bytes. */
  readonly limitBytes: number;
  /** Where it stood, as the journal says. */
  readonly span: Span | undefined;
  /** Nothing behind the span's end was relied upon: it is cut off. False keeps whatever is there. */
  readonly isExact: boolean;
  /** Records and bytes that can no longer be read; records is 0 where nobody knows how many they were. */
  readonly damaged: (records: number, bytes: number) => void;
}

const START: Position = { segment: 1, offset: 0, index: 0 };
const LARGEST_SEGMENT = 8 * 2 ** 20;
const SMALLEST_SEGMENT = 64 * 2 ** 10;

/** One caller at a time, except for the numbers. Appending and reading may alternate freely. */
export class DiskBuffer {
  readonly #options: DiskBufferOptions;
  readonly #segmentBytes: number;
  readonly #segments: Segment[] = [];
  #head: Position;
  /** Up to here it may be relied upon. */
  #tail: Position;
  #records = 0;
  #bytes = 0;
  #appended: Appended | undefined;
  #block: { readonly at: Position; readonly block: ReadBlock } | undefined;

  /** Reads what is there: headers only. Throws what the file system throws. */
  constructor(options: DiskBufferOptions) {
    this.#options = options;
    this.#segmentBytes = Math.max(SMALLEST_SEGMENT, Math.min(LARGEST_SEGMENT, options.limitBytes / 8));
    this.#head = options.span?.head ?? START;
    this.#tail = options.span?.tail ?? START;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    this.#load();
  }

  /** Records that wait. */
  get records(): number {
    return this.#records;
  }

  /** Bytes of their texts. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What its files take. */
  get diskBytes(): number {
    return this.#segments.reduce((sum, { size }) => sum + size, 0);
  }

  get span(): Span {
    return { head: this.#head, tail: this.#tail };
  }

  /**
   * Writes as many as there is room for, in order, and resolves with their number when they are on the disk. They count
   * only after `accept`; `discard` takes them back. `trouble` of the result says what hindered it, a full disk for example.
   */
  async append(kept: readonly Kept[]): Promise<Appended> {
    const { folder, limitBytes } = this.#options;
    this.#appended = await writeBlocks(kept, {
      folder,
      segments: this.#segments,
      firstNumber: this.#tail.segment,
      segmentBytes: this.#segmentBytes,
      roomBytes: limitBytes - this.diskBytes,
    });
    return this.#appended;
  }

  /** The span as it will be when what was appended counts. */
  get appendedSpan(): Span {
    const last = this.#segments.at(-1);
    if (last === undefined) return this.span;
    return { head: this.#head, tail: { segment: last.number, offset: last.size, index: 0 } };
  }

  accept(): void {
    this.#tail = this.appendedSpan.tail;
    this.#records += this.#appended?.records ?? 0;
    this.#bytes += this.#appended?.bytes ?? 0;
    this.#appended = undefined;
  }

  discard(): void {
    this.#appended = undefined;
    for (const segment of this.#segments.filter(({ number }) => number > this.#tail.segment)) {
      this.#drop(segment);
    }
    const last = this.#segments.at(-1);
    if (last === undefined || last.number !== this.#tail.segment) return;
    if (this.#tail.offset === 0) {
      this.#drop(last);
      return;
    }
    truncateSegment(last, this.#tail.offset);
    const { segment } = scanSegment(this.#options.folder, last.number);
    Object.assign(last, { size: segment.size, records: segment.records, bytes: segment.bytes });
  }

  /**
   * The oldest pieces, at least one; undefined when there are none that can be read. They stay until they are settled. Rejects
   * with what hinders it for now.
   */
  async read({
    maxBytes,
    maxRecords,
  }: Pick<BatchLimits, "maxBytes" | "maxRecords">): Promise<Batch | undefined> {
    const batch = new DiskBatch(this.#options.name, (count, bytes, head) => this.#settle(count, bytes, head));
    for (let at = this.#find(this.#head); isBefore(at, this.#tail);) {
      const block = await this.#read(at);
      if (block.is !== "whole") {
        if (batch.pieces.length > 0) break; // What is before the damage goes first.
        at = this.#skip(at, block);
        continue;
      }
      const next = this.#find({
        segment: at.segment,
        offset: at.offset + blockBytes(block.header),
        index: 0,
      });
      batch.add({ at, kept: block.kept, next }, { maxBytes, maxRecords });
      if (!batch.isWhole) break;
      at = next;
    }
    return batch.pieces.length === 0 ? undefined : batch;
  }

  #settle(records: number, bytes: number, head: Position): LaneChange {
    this.#records -= records;
    this.#bytes -= bytes;
    this.#moveTo(head);
    return this.#options.name === "buffer" ? { buffer: this.span } : { retry: this.span };
  }

  #moveTo(head: Position): void {
    this.#head = head;
    const isEmpty = !isBefore(head, this.#tail) && this.#appended === undefined;
    if (isEmpty) {
      this.#records = 0;
      this.#bytes = 0;
      // Never the number of a file that the journal may still speak of.
      const used = this.#tail.offset > 0 ? this.#tail.segment : this.#tail.segment - 1;
      this.#head = { segment: Math.max(used, this.#segments.at(-1)?.number ?? 0) + 1, offset: 0, index: 0 };
      this.#tail = this.#head;
      this.#block = undefined;
    }
    for (const segment of this.#segments.filter(({ number }) => number < this.#head.segment))
      this.#drop(segment);
  }

  /** Where the next piece is: behind the end of a file the next file begins. */
  #find(at: Position): Position {
    const segment = this.#segments.find(({ number }) => number >= at.segment);
    if (segment === undefined) return this.#tail;
    if (segment.number > at.segment) return { segment: segment.number, offset: 0, index: 0 };
    if (at.offset < segment.size) return at;
    const next = this.#segments.find(({ number }) => number > at.segment);
    return next === undefined ? this.#tail : { segment: next.number, offset: 0, index: 0 };
  }

  async #read(at: Position): Promise<ReadBlock> {
    const known = this.#block;
    if (known?.at.segment === at.segment && known.at.offset === at.offset) return known.block;
    const segment = this.#segmentAt(at);
    let block: ReadBlock;
    try {
      block = segment === undefined ? { is: "lost" } : await readBlock(segment.path, at.offset);
    } catch (error) {
      if (!isLost(error)) throw error;
      block = { is: "lost" };
    }
    this.#block = { at, block };
    return block;
  }

  /** Leaves out what cannot be read, counts it, and keeps the file for those who want to know. */
  #skip(at: Position, block: Exclude<ReadBlock, { is: "whole" }>): Position {
    const segment = this.#segmentAt(at);
    if (segment === undefined) return this.#tail;
    segment.isDamaged = true;
    let records: number;
    let bytes: number;
    if (block.is === "damaged") {
      records = block.header.records - at.index;
      ({ bytes } = block.header);
    } else {
      const before = this.#before(at);
      records = segment.records - before.records - at.index;
      bytes = segment.bytes - before.bytes;
    }
    this.#records -= records;
    this.#bytes -= bytes;
    this.#options.damaged(records, bytes);
    const offset = block.is === "damaged" ? at.offset + blockBytes(block.header) : segment.size;
    const next = this.#find({ segment: at.segment, offset, index: 0 });
    this.#moveTo(next);
    return this.#find(this.#head);
  }

  #before({ segment, offset }: Position): { records: number; bytes: number } {
    try {
      return scanSegment(this.#options.folder, segment, offset).segment;
    } catch {
      return { records: 0, bytes: 0 }; // The file is gone: everything in it is.
    }
  }

  #segmentAt({ segment }: Position): Segment | undefined {
    return this.#segments.find(({ number }) => number === segment);
  }

  #drop(segment: Segment): void {
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    try {
      if (segment.isDamaged) setAside(segment.path);
      else rmSync(segment.path, { force: true });
    } catch (error) {
      // Its place is in the journal: a file that stays is removed at the next start.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }

  #load(): void {
    const { folder, span, isExact } = this.#options;
    const numbers = readdirSync(folder).flatMap((name) => segmentNumber(name) ?? []);
    const isCut = (number: number) => isExact && (span === undefined || number > this.#tail.segment);
    for (const number of numbers.sort((a, b) => a - b)) {
      const isTail = isExact && number === this.#tail.segment;
      const end = isTail ? this.#tail.offset : undefined;
      const { segment, brokenBytes } = scanSegment(folder, number, end);
      this.#segments.push(segment);
      if (isCut(number) || number < this.#head.segment || end === 0) this.#drop(segment);
      else if (brokenBytes > 0) this.#loadBroken(segment, brokenBytes, number === numbers.at(-1) && !isExact);
      else if (isTail) truncateSegment(segment, segment.size);
    }
    this.#settlePlaces();
  }

  #loadBroken(segment: Segment, brokenBytes: number, isTorn: boolean): void {
    if (isTorn) {
      truncateSegment(segment, segment.size);
      return;
    }
    segment.isDamaged = true;
    this.#options.damaged(0, brokenBytes);
  }

  /** Head and tail of what is there, and how much that is. */
  #settlePlaces(): void {
    const last = this.#segments.at(-1);
    if (last === undefined) {
      this.#moveTo(this.#tail);
      return;
    }
    this.#tail = { segment: last.number, offset: last.size, index: 0 };
    for (const { records, bytes } of this.#segments) {
      this.#records += records;
      this.#bytes += bytes;
    }
    const head = this.#find(this.#head);
    const before = this.#before(head);
    this.#records -= before.records + head.index;
    this.#bytes -= before.bytes;
    this.#moveTo(head);
  }
}

/** The disk cannot read it, or somebody removed it: the same as damaged. Anything else may be better later (EMFILE, ENOMEM). */
function isLost(error: unknown): boolean {
  return (
    !(error instanceof Error && "code" in error) || ["ENOENT", "EIO", "EUCLEAN"].includes(String(error.code))
  );
}

function blockBytes({ length }: BlockHeader): number {
  return HEADER_BYTES + length;
}
