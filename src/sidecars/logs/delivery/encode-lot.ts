/** Makes pieces for one sink of a lot's records, as soon as the lot comes: records themselves are not kept. */
import type { Lot, LogRecord } from "../record.ts";
import type { Piece, Sink } from "../sinks/sink.ts";
import type { FileMarks } from "./file-marks.ts";
import type { Part } from "./memory-queue.ts";

/**
 * Stands in `Piece.group` of a record that its sink could not encode, which is a bug of ours: it is not sent, it goes to the
 * dead letters with its plain text. No sink makes such a group.
 */
export const UNENCODABLE = "\0unencodable";

export interface EncodePlace {
  readonly sink: Sink;
  /** Undefined when nothing is to move. */
  readonly marks: FileMarks | undefined;
  /** Records that end here or before are left out: the sink has them. */
  readonly after: number;
  /** Now, of the monotonic clock. */
  readonly at: number;
}

export function encodeLot({ origin, records, end }: Lot, { sink, marks, after, at }: EncodePlace): Part {
  const pieces: Piece[] = [];
  const ends: number[] = [];
  const sizes: number[] = [];
  for (const record of records) {
    if (record.end <= after) continue;
    const piece = encode(sink, record);
    pieces.push(piece);
    ends.push(record.end);
    sizes.push(piece.size ?? Buffer.byteLength(piece.text));
  }
  return { marks, path: origin.path, pieces, ends, sizes, end: Math.max(after, end), at, taken: 0 };
}

function encode(sink: Sink, record: LogRecord): Piece {
  try {
    return sink.encode(record);
  } catch {
    const id = `${record.origin.key}@${record.end}`;
    return { text: record.text, group: UNENCODABLE, nanos: "", id };
  }
}
