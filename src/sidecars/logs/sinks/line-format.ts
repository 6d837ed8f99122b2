/** The two forms in which a record becomes one line: JSON, or as the application wrote it. */
import { z } from "zod";
import type { LogRecord } from "../record.ts";
import { encodeRecord } from "./record-json.ts";
import { RecordPiece } from "./record-piece.ts";
import type { Piece } from "./sink.ts";

export function lineFormat() {
  return z
    .enum(["json", "text"])
    .prefault("json")
    .describe(
      "`json`: one object per record with `time` and its fields. `text`: the event as the application wrote it, redacted like everything else.",
    );
}

export type LineFormat = z.output<ReturnType<typeof lineFormat>>;

/** The same record gets the same id again after a restart, since both halves survive it. */
export function idOf({ origin, end }: LogRecord): string {
  return `${origin.key}@${end}`;
}

export function lineOf(format: LineFormat): (record: LogRecord) => Piece {
  return format === "json"
    ? (record) => new RecordPiece(record, encodeRecord(record))
    : (record) => new RecordPiece(record, { text: record.text, size: undefined });
}

/** Every record's line with its line end. */
export function linesOf(batch: readonly Piece[]): string {
  let lines = "";
  for (const { text } of batch) lines += `${text}\n`;
  return lines;
}
