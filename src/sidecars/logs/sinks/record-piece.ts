/** A piece whose id is put together only when somebody asks for it: most pieces are delivered and forgotten without. */
import type { LogRecord, Origin } from "../record.ts";
import type { EncodedText } from "./record-json.ts";
import type { Piece } from "./sink.ts";

export class RecordPiece implements Piece {
  readonly text: string;
  readonly size: number | undefined;
  readonly group: string;
  readonly nanos = "";
  readonly #origin: Origin;
  readonly #end: number;

  constructor({ origin, end }: LogRecord, { text, size }: EncodedText, group = "") {
    this.text = text;
    this.size = size;
    this.group = group;
    this.#origin = origin;
    this.#end = end;
  }

  /** As `idOf` has it. */
  get id(): string {
    return `${this.#origin.key}@${this.#end}`;
  }
}
