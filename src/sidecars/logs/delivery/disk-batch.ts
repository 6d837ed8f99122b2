/** A batch out of a disk buffer: which blocks it came from, and where the buffer begins once a part of it is delivered. */
import type { BatchLimits, Piece } from "../sinks/sink.ts";
import type { Batch } from "./batch.ts";
import type { Kept } from "./block.ts";
import type { LaneChange } from "./lane-change.ts";
import type { Position } from "./position.ts";

interface Source {
  readonly at: Position;
  readonly kept: readonly Kept[];
  /** Where reading goes on when the block is used up. */
  readonly next: Position;
}

interface Taken {
  readonly at: Position;
  readonly count: number;
  /** Undefined when a part of the block is left. */
  readonly next: Position | undefined;
}

export class DiskBatch implements Batch {
  readonly from: "buffer" | "retry";
  readonly cost = 0;
  readonly pieces: Piece[] = [];
  readonly sizes: number[] = [];
  readonly paths: string[] = [];
  readonly #taken: Taken[] = [];
  readonly #settle: (records: number, bytes: number, head: Position) => LaneChange;
  #bytes = 0;
  #settled = 0;

  constructor(
    from: "buffer" | "retry",
    settle: (records: number, bytes: number, head: Position) => LaneChange,
  ) {
    this.from = from;
    this.#settle = settle;
  }

  /** False when the last block gave more than there was room for. */
  get isWhole(): boolean {
    return this.#taken.at(-1)?.next !== undefined;
  }

  /** Takes as many of the block's pieces as the limits allow, at least one for the whole batch. */
  add(
    { at, kept, next }: Source,
    { maxBytes, maxRecords }: Pick<BatchLimits, "maxBytes" | "maxRecords">,
  ): void {
    let index = at.index;
    for (; index < kept.length && this.pieces.length < maxRecords; index += 1) {
      const { piece, size, path } = kept[index] as Kept;
      if (this.pieces.length > 0 && this.#bytes + size > maxBytes) break;
      this.pieces.push(piece);
      this.sizes.push(size);
      this.paths.push(path);
      this.#bytes += size;
    }
    this.#taken.push({ at, count: index - at.index, next: index === kept.length ? next : undefined });
  }

  settle(count: number): LaneChange {
    let bytes = 0;
    for (let index = this.#settled; index < count; index += 1) bytes += this.sizes[index] ?? 0;
    const records = count - this.#settled;
    this.#settled = count;
    return this.#settle(records, bytes, this.#positionBehind(count));
  }

  #positionBehind(count: number): Position {
    let before = 0;
    let place = this.#taken[0]?.at ?? { segment: 0, offset: 0, index: 0 };
    for (const { at, count: held, next } of this.#taken) {
      if (count < before + held || next === undefined) return { ...at, index: at.index + count - before };
      before += held;
      place = next;
    }
    return place;
  }
}
