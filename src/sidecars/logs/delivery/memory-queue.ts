/** What a lane holds in memory: encoded records of many files, oldest first, bounded by what they cost. */
import type { BatchLimits, Piece } from "../sinks/sink.ts";
import type { Batch } from "./batch.ts";
import type { FileMarks } from "./file-marks.ts";

/** Consecutive records of one file. */
export interface Part {
  /** Undefined where nothing is to move: the file was emptied meanwhile. */
  readonly marks: FileMarks | undefined;
  readonly path: string;
  readonly pieces: readonly Piece[];
  /** Offset behind each record. */
  readonly ends: readonly number[];
  /** Bytes of each text. */
  readonly sizes: readonly number[];
  /**
   * Offset that is reached when all are safe: dropped records behind the last one included. Less than where records end when
   * something that began before them is not finished yet.
   */
  end: number;
  /** When it came, of the monotonic clock. */
  readonly at: number;
  /** How many pieces have left the queue. */
  taken: number;
}

/** What a piece takes beyond its text: the object, four strings' headers, its id and three numbers; measured with heap snapshots. */
export const PIECE_COST = 220;
const PART_COST = 200;
/** When so many places in front are empty, the list is moved up. */
const MOVE_UP = 1_024;

const EMPTY_PLACE: Part = {
  marks: undefined,
  path: "",
  pieces: [],
  ends: [],
  sizes: [],
  end: 0,
  at: 0,
  taken: 0,
};

export class MemoryQueue {
  #parts: Part[] = [];
  #first = 0;
  #records = 0;
  #bytes = 0;
  #cost = 0;

  get records(): number {
    return this.#records;
  }

  /** Of texts. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of texts and everything around them. */
  get cost(): number {
    return this.#cost;
  }

  get isEmpty(): boolean {
    return this.#first === this.#parts.length;
  }

  /** When the oldest part came; undefined when there is none. */
  get oldestAt(): number | undefined {
    return this.#parts[this.#first]?.at;
  }

  push(part: Part): void {
    const last = this.isEmpty ? undefined : this.#parts.at(-1);
    if (part.pieces.length === 0 && part.marks !== undefined && last?.marks === part.marks) {
      last.end = part.end; // Files whose records are all dropped must not fill the memory with nothing.
      return;
    }
    this.#append(part);
  }

  /** As much as the limits allow, at least one record; undefined when there is nothing. A part without records goes along. */
  take({ maxBytes, maxRecords }: Pick<BatchLimits, "maxBytes" | "maxRecords">): Batch | undefined {
    if (this.isEmpty) return undefined;
    const batch = new MemoryBatch();
    let bytes = 0;
    for (let part = this.#parts[this.#first]; part !== undefined; part = this.#parts[this.#first]) {
      const from = part.taken;
      const bytesBefore = bytes;
      let to = from;
      for (let room = maxRecords - batch.pieces.length; to < part.pieces.length && room > 0; room -= 1) {
        const size = part.sizes[to] ?? 0;
        if (bytes + size > maxBytes && (bytes > 0 || to > from)) break;
        bytes += size;
        to += 1;
      }
      const isEnd = to === part.pieces.length;
      if (to === from && !isEnd) break;
      part.taken = to;
      batch.add(part, from, to);
      const cost = bytes - bytesBefore + (to - from) * PIECE_COST + (isEnd ? PART_COST : 0);
      batch.cost += cost;
      this.#records -= to - from;
      this.#bytes -= bytes - bytesBefore;
      this.#cost -= cost;
      if (!isEnd) break;
      this.#shift();
    }
    return batch;
  }

  /** Puts back what `take` gave, without its first `count` pieces. */
  restore(batch: Batch, count: number): void {
    if (!(batch instanceof MemoryBatch))
      throw new TypeError("Cannot put a batch back: it is not from memory");
    const newer = this.#parts.slice(this.#first);
    this.#parts = [];
    this.#first = 0;
    for (const part of batch.partsFrom(count)) this.#append(part);
    for (const part of newer) this.#parts.push(part);
  }

  #append(part: Part): void {
    let bytes = 0;
    for (const size of part.sizes) bytes += size;
    this.#parts.push(part);
    this.#records += part.sizes.length;
    this.#bytes += bytes;
    this.#cost += bytes + part.sizes.length * PIECE_COST + PART_COST;
  }

  #shift(): void {
    // Its records are gone: a place in the list must not hold them.
    this.#parts[this.#first] = EMPTY_PLACE;
    this.#first += 1;
    if (this.#first < MOVE_UP || this.#first * 2 < this.#parts.length) return;
    this.#parts = this.#parts.slice(this.#first);
    this.#first = 0;
  }
}

interface Slice {
  readonly part: Part;
  readonly from: number;
  readonly to: number;
}

class MemoryBatch implements Batch {
  readonly from = "memory";
  readonly pieces: Piece[] = [];
  readonly sizes: number[] = [];
  readonly paths: string[] = [];
  cost = 0;
  readonly #slices: Slice[] = [];

  add(part: Part, from: number, to: number): void {
    this.#slices.push({ part, from, to });
    for (let index = from; index < to; index += 1) {
      const piece = part.pieces[index];
      if (piece === undefined) continue;
      this.pieces.push(piece);
      this.sizes.push(part.sizes[index] ?? 0);
      this.paths.push(part.path);
    }
  }

  settle(count: number): { moves: ReadonlyMap<FileMarks, number> } {
    const moves = new Map<FileMarks, number>();
    let before = 0;
    for (const { part, from, to } of this.#slices) {
      const done = Math.min(count - before, to - from);
      const isDone = done === to - from;
      const end = isDone && to === part.pieces.length ? part.end : part.ends[from + done - 1];
      if (part.marks !== undefined && end !== undefined && (done > 0 || isDone))
        moves.set(part.marks, Math.min(end, part.end));
      if (!isDone) break;
      before += to - from;
    }
    return { moves };
  }

  /** Parts of their own for everything behind the first `count` pieces. */
  partsFrom(count: number): Part[] {
    const parts: Part[] = [];
    let before = 0;
    for (const { part, from, to } of this.#slices) {
      const start = from + Math.max(0, Math.min(count - before, to - from));
      before += to - from;
      if (start === to && !(from === to && before >= count)) continue;
      const isEnd = to === part.pieces.length;
      parts.push({
        ...part,
        pieces: part.pieces.slice(start, to),
        ends: part.ends.slice(start, to),
        sizes: part.sizes.slice(start, to),
        end: isEnd ? part.end : (part.ends[to - 1] ?? part.end),
        taken: 0,
      });
    }
    return parts;
  }
}
