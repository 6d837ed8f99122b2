/** How far each sink is behind each file, in bytes and in seconds, for metrics and status. */
import type { Delivery, LaneProgress } from "./delivery/delivery.ts";
import type { Lot } from "./record.ts";
import type { ChunkSource, FileProgress } from "./sources/chunk.ts";

export interface Lag {
  readonly file: string;
  readonly sink: string;
  readonly bytes: number;
  /** Age of the oldest byte that the sink does not have. */
  readonly seconds: number;
}

/** With more files than this the ones that are furthest behind are named, the others are one entry. */
const MAX_FILES = 100;
const OTHERS = "(others)";

interface Mark {
  readonly end: number;
  /** Of the monotonic clock. */
  readonly readAt: number;
}

export interface LagParts {
  readonly source: Pick<ChunkSource, "progress">;
  readonly delivery: Pick<Delivery, "lanes">;
  /** The monotonic clock. */
  readonly monotonic: () => number;
}

export class LagTracker {
  readonly #parts: LagParts;
  /** Per file, when its lots were read: those that some sink does not have yet, oldest first. */
  readonly #marks = new Map<string, Mark[]>();

  constructor(parts: LagParts) {
    this.#parts = parts;
  }

  /** A lot was read. */
  read({ origin, start, end }: Lot): void {
    const mark = { end, readAt: this.#parts.monotonic() };
    const marks = this.#marks.get(origin.key);
    // A file that was emptied begins again: its old marks mean nothing any more.
    const goesOn = marks !== undefined && (marks.at(-1)?.end ?? 0) <= start;
    if (goesOn) marks.push(mark);
    else this.#marks.set(origin.key, [mark]);
  }

  /** Every sink has the file up to here. */
  moved(key: string, offset: number): void {
    const marks = this.#marks.get(key);
    if (marks === undefined) return;
    const open = marks.findIndex(({ end }) => end > offset);
    if (open === -1) this.#marks.delete(key);
    else marks.splice(0, open);
  }

  all(): readonly Lag[] {
    const files = [...this.#parts.source.progress()];
    const lanes = [...this.#parts.delivery.lanes()];
    const byPath = new Map<string, readonly Lag[]>();
    for (const file of files) {
      const { path } = file.origin;
      const others = byPath.get(path);
      const lags = lanes.map((lane) => this.#lagOf(file, lane));
      byPath.set(path, others === undefined ? lags : lags.map((lag, lane) => both(lag, others[lane])));
    }
    const byFile = [...byPath.values()].toSorted((a, b) => worst(b) - worst(a));
    const others = byFile.slice(MAX_FILES);
    return [...byFile.slice(0, MAX_FILES).flat(), ...(others.length === 0 ? [] : summed(others, lanes))];
  }

  #lagOf({ origin, size, behindSince }: FileProgress, lane: LaneProgress): Lag {
    const offset = lane.offsetOf(origin.key);
    const bytes = Math.max(0, size - offset);
    const since = this.#marks.get(origin.key)?.find(({ end }) => end > offset)?.readAt ?? behindSince;
    const isBehind = bytes > 0 && since !== undefined;
    const seconds = isBehind ? Math.max(0, this.#parts.monotonic() - since) / 1_000 : 0;
    return { file: origin.path, sink: lane.sink, bytes, seconds };
  }
}

/** What was rotated away and what came into its place have one name. */
function both(one: Lag, other: Lag | undefined): Lag {
  if (other === undefined) return one;
  return { ...one, bytes: one.bytes + other.bytes, seconds: Math.max(one.seconds, other.seconds) };
}

function worst(lags: readonly Lag[]): number {
  return Math.max(0, ...lags.map(({ bytes }) => bytes));
}

function summed(others: readonly (readonly Lag[])[], lanes: readonly LaneProgress[]): readonly Lag[] {
  return lanes.map(({ sink }, index) => ({
    file: OTHERS,
    sink,
    bytes: others.reduce((sum, lags) => sum + (lags[index]?.bytes ?? 0), 0),
    seconds: others.reduce((most, lags) => Math.max(most, lags[index]?.seconds ?? 0), 0),
  }));
}
