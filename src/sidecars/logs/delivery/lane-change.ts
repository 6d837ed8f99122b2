/** What one line of the journal says of a lane: all of it holds after a crash, or none. */
import type { FileMarks } from "./file-marks.ts";
import type { Span } from "./position.ts";

/** Records, and bytes of their texts. */
export interface Amount {
  readonly records: number;
  readonly bytes: number;
}

export const NOTHING: Amount = { records: 0, bytes: 0 };

export interface LaneChange {
  /** Offsets up to which a file's records are safe now. */
  readonly moves?: ReadonlyMap<FileMarks, number>;
  /** What is being sent from now on; `NOTHING` when the outcome is known. */
  readonly inFlight?: Amount;
  readonly buffer?: Span;
  readonly retry?: Span;
  /** Dead letters that are in the lane's buffer again. */
  readonly replayed?: readonly string[];
}

/** Both, `after` winning. */
export function mergeChanges(before: LaneChange | undefined, after: LaneChange): LaneChange {
  if (before === undefined) return after;
  const merged = { ...before, ...after };
  if (before.moves === undefined || after.moves === undefined) return merged;
  return { ...merged, moves: new Map([...before.moves, ...after.moves]) };
}
