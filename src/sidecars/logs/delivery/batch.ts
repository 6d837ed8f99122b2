/** Pieces on their way to a sink, and what may be noted once the first of them are safe. */
import type { Piece } from "../sinks/sink.ts";
import type { LaneChange } from "./lane-change.ts";

export interface Batch {
  /** `retry` and `buffer` are on disk already. */
  readonly from: "memory" | "retry" | "buffer";
  readonly pieces: readonly Piece[];
  /** Bytes of each piece's text. */
  readonly sizes: readonly number[];
  /** What it takes of the memory limit, bytes. */
  readonly cost: number;
  /** The file that each piece came from, as people know it. */
  readonly paths: readonly string[];
  /** The first `count` pieces are delivered or kept elsewhere. Counts only grow. */
  settle(count: number): LaneChange;
}
