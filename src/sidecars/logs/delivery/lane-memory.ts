/** What a lane holds in memory, and how it gets from there to the disk when it has to. */
import type { Clock } from "../../../kernel/clock.ts";
import type { Batch } from "./batch.ts";
import type { BatchRun } from "./batch-run.ts";
import { MemoryQueue } from "./memory-queue.ts";
import type { Shelf } from "./shelf.ts";

export interface LaneMemoryOptions {
  readonly shelf: Shelf;
  readonly clock: Clock;
  readonly limitBytes: number;
}

/** How long a shelf that had no room is left alone. */
const SHELF_REST_MS = 5_000;
const UNLIMITED = { maxBytes: Number.POSITIVE_INFINITY, maxRecords: Number.POSITIVE_INFINITY };
const LONG_AGO = Number.NEGATIVE_INFINITY;

export class LaneMemory {
  readonly queue = new MemoryQueue();
  /** The batch on its way; older than everything in the queue. */
  run: BatchRun | undefined;
  readonly #options: LaneMemoryOptions;
  /** On the way to the shelf. */
  #moving: Batch | undefined;
  #keepSince: number | undefined;
  #shelfRestsUntil = LONG_AGO;

  constructor(options: LaneMemoryOptions) {
    this.#options = options;
  }

  get records(): number {
    const running = this.run?.batch.from === "memory" ? this.run.leftRecords : 0;
    return this.queue.records + running + (this.#moving?.pieces.length ?? 0);
  }

  /** Of texts. */
  get bytes(): number {
    const running = this.run?.batch.from === "memory" ? this.run.leftBytes : 0;
    const moving = this.#moving?.sizes.reduce((sum, size) => sum + size, 0) ?? 0;
    return this.queue.bytes + running + moving;
  }

  /** Of texts and everything around them. */
  get cost(): number {
    return this.queue.cost + (this.run?.batch.cost ?? 0) + (this.#moving?.cost ?? 0);
  }

  get isFull(): boolean {
    return this.cost >= this.#options.limitBytes;
  }

  /** Nothing is here that would be lost with the process. */
  get isEmpty(): boolean {
    return this.records === 0 && this.queue.isEmpty;
  }

  /** Behind a batch out of memory nothing can be noted as safe. */
  get isBatchAtRisk(): boolean {
    return this.run?.batch.from === "memory";
  }

  /** Records are here that are older than everything in the queue. */
  get isOlderAtRisk(): boolean {
    return this.isBatchAtRisk || this.#moving !== undefined;
  }

  /** Since when everything is to go to disk first, of the monotonic clock; undefined when it need not. */
  get keepSince(): number | undefined {
    return this.#keepSince;
  }

  /** Until when a shelf without room is left alone. */
  get shelfRestsUntil(): number {
    return this.#shelfRestsUntil;
  }

  /** From now on everything goes to disk first. */
  keep(): void {
    this.#keepSince ??= this.#options.clock.monotonic();
    this.#shelfRestsUntil = LONG_AGO;
  }

  /** Something was taken off the shelf: there is room again. */
  wakeShelf(): void {
    this.#shelfRestsUntil = LONG_AGO;
  }

  /** Whether it has to go to disk now, as far as the shelf takes it. A sink that is merely slow is no reason, unless time runs out. */
  mustEmpty(mayNotWait: boolean): boolean {
    if (this.#options.clock.monotonic() < this.#shelfRestsUntil) return false;
    return this.#keepSince !== undefined || (this.isFull && mayNotWait);
  }

  /** Puts a queue with records in it into the buffer. False when not all of it had room. */
  async shelve(): Promise<boolean> {
    const batch = this.queue.take(UNLIMITED);
    if (batch === undefined) return true;
    this.#moving = batch;
    const kept = batch.pieces.map((piece, index) => ({
      piece,
      size: batch.sizes[index] ?? 0,
      path: batch.paths[index] ?? "",
    }));
    const changeFor = (count: number) => batch.settle(count);
    const count = await this.#options.shelf.put("buffer", kept, { changeFor, isWhole: false });
    this.#moving = undefined;
    if (count === kept.length) return true;
    this.queue.restore(batch, count);
    this.#letShelfRest();
    return false;
  }

  /** A batch out of memory makes way: it goes to disk, ahead of everything else. False when there is no room. */
  async park(run: BatchRun): Promise<boolean> {
    const { batch } = run;
    const { shelf } = this.#options;
    const changeFor = () => batch.settle(batch.pieces.length);
    if ((await shelf.put("retry", run.left(), { changeFor, isWhole: true })) === 0) {
      this.#letShelfRest();
      return false;
    }
    shelf.putRetryFirst();
    return true;
  }

  /** After a failure of ours: what was on its way is in the queue again. */
  putBack(): void {
    const { run } = this;
    const moving = this.#moving;
    this.run = undefined;
    this.#moving = undefined;
    if (moving !== undefined) this.queue.restore(moving, 0);
    if (run?.batch.from === "memory") this.queue.restore(run.batch, run.settled);
  }

  #letShelfRest(): void {
    this.#shelfRestsUntil = this.#options.clock.monotonic() + SHELF_REST_MS;
    this.#keepSince = undefined;
  }
}
