/** What a lane has on disk: the buffer of an outage, and before it what has to be tried again ahead of everything newer. */
import { join } from "node:path";
import { Problem, messageOf } from "../../../kernel/problem.ts";
import type { BatchLimits } from "../sinks/sink.ts";
import type { Kept } from "./block.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { DiskBuffer } from "./disk-buffer.ts";
import type { LaneChange } from "./lane-change.ts";
import { isBefore, type Position } from "./position.ts";

export interface ShelfOptions {
  /** The lane's own. */
  readonly folder: string;
  readonly sink: string;
  readonly lane: number;
  readonly checkpoints: Checkpoints;
  /** For both parts together, bytes on disk. */
  readonly limitBytes: number;
  readonly batch: Pick<BatchLimits, "maxBytes" | "maxRecords">;
  readonly damaged: (records: number, bytes: number) => void;
}

export type ShelfPart = "retry" | "buffer";

/** What goes first has to have room when the buffer is full: for a batch that makes way and for refused records of another. */
const RETRY_BATCHES = 2;
/** What a record takes on disk besides its text, about. */
const RECORD_BYTES = 100;
const MOST_FOR_RETRY = 1 / 4;

export class Shelf {
  readonly retry: DiskBuffer;
  readonly buffer: DiskBuffer;
  readonly #options: ShelfOptions;
  /** What stands before it in `retry` is older than everything else. */
  #firstUntil: Position;
  #lostRecords = 0;
  #lostBytes = 0;
  #trouble: unknown;

  /** Throws the file system's errors. */
  constructor(options: ShelfOptions) {
    this.#options = options;
    const { folder, lane, checkpoints, limitBytes, batch } = options;
    const spans = checkpoints.laneOf(lane);
    const batchBytes = batch.maxBytes + batch.maxRecords * RECORD_BYTES;
    const retryBytes = Math.floor(Math.min(limitBytes * MOST_FOR_RETRY, batchBytes * RETRY_BATCHES));
    const damaged = (records: number, bytes: number) => this.#damaged(records, bytes);
    const common = { isExact: checkpoints.isExact, damaged };
    this.retry = new DiskBuffer({
      ...common,
      folder: join(folder, "retry"),
      name: "retry",
      limitBytes: retryBytes,
      span: spans.retry,
    });
    this.buffer = new DiskBuffer({
      ...common,
      folder: join(folder, "buffer"),
      name: "buffer",
      limitBytes: limitBytes - retryBytes,
      span: spans.buffer,
    });
    this.#firstUntil = this.retry.span.tail;
  }

  get records(): number {
    return this.retry.records + this.buffer.records;
  }

  /** Of texts. */
  get bytes(): number {
    return this.retry.bytes + this.buffer.bytes;
  }

  /** `retry` holds what is older than everything in the buffer and in memory. */
  get isRetryFirst(): boolean {
    return this.retry.records > 0 && isBefore(this.retry.span.head, this.#firstUntil);
  }

  /** What is in `retry` now goes before everything else. */
  putRetryFirst(): void {
    this.#firstUntil = this.retry.span.tail;
  }

  /**
   * Keeps as many as there is room for and notes, in the same line of the journal, what `changeFor` says of that number.
   * Resolves with the number; 0 means that nothing has changed. Never rejects.
   */
  async put(
    part: ShelfPart,
    kept: readonly Kept[],
    { changeFor, isWhole }: { changeFor: (count: number) => LaneChange; isWhole: boolean },
  ): Promise<number> {
    const { checkpoints, lane } = this.#options;
    const store = this[part];
    const { records, trouble } = await store.append(kept);
    this.#trouble = records === kept.length ? undefined : (trouble ?? "full");
    if (records === 0 || (isWhole && records < kept.length)) return this.#discard(store);
    const change = { ...changeFor(records), [part]: store.appendedSpan };
    if (!(await checkpoints.commitDurably(lane, change))) return this.#discard(store);
    store.accept();
    return records;
  }

  troubles(): readonly unknown[] {
    const troubles: unknown[] = [];
    const { sink, folder } = this.#options;
    if (this.#lostBytes > 0) troubles.push(damaged(sink, folder, this.#lostRecords));
    if (this.#trouble === "full") troubles.push(full(sink, this.#options.limitBytes));
    else if (this.#trouble !== undefined) troubles.push(unwritable(sink, this.#trouble));
    return troubles;
  }

  /** There is room again, as far as one can tell. */
  calm(): void {
    this.#trouble = undefined;
  }

  /** A disk that takes nothing may not let go of anything either. */
  #discard(store: DiskBuffer): 0 {
    try {
      store.discard();
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      this.#trouble = error;
    }
    return 0;
  }

  #damaged(records: number, bytes: number): void {
    this.#lostRecords += records;
    this.#lostBytes += bytes;
    this.#options.damaged(records, bytes);
  }
}

function damaged(sink: string, folder: string, records: number): Problem {
  const what = records === 0 ? "a part" : `${records} records`;
  return new Problem({
    code: "E_BUFFER_DAMAGED",
    message: `Cannot read ${what} of the disk buffer of sink "${sink}": the file was damaged; it is kept under "${folder}"`,
    fix: "Check the disk, and look into the files `*.damaged-N` for what can be saved. The next start forgets this",
  });
}

function full(sink: string, limitBytes: number): Problem {
  return new Problem({
    code: "E_BUFFER_FULL",
    message: `Cannot keep more records for sink "${sink}": its disk buffer of ${limitBytes} bytes is full, so reading waits`,
    fix: "Bring the receiver back, or give the sidecar a larger `buffer`",
  });
}

function unwritable(sink: string, cause: unknown): Problem {
  return new Problem({
    code: "E_BUFFER_UNWRITABLE",
    message: `Cannot write the disk buffer of sink "${sink}": ${messageOf(cause)}; reading waits`,
    fix: "Free space on the disk of the state folder, or make the folder writable",
    cause,
  });
}
