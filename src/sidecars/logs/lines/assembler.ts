/**
 * Puts lines together to events, per stream: parts of CRI entries to lines, lines to traces. Keeps the order of offsets: an
 * event waits while another stream holds an unfinished one whose last byte stands before its own.
 */
import type { LineJoiner } from "./line-joiner.ts";
import { PendingEvent } from "./pending-event.ts";
import type { Piece } from "./pending-event.ts";

export interface AssemblerOptions {
  /** One for each stream; undefined where every line is an event. */
  readonly createJoiner: (() => LineJoiner) | undefined;
  /** Of an event of several lines. */
  readonly maxLines: number;
  readonly maxBytes: number;
  /** Bytes of a line that is put together from parts. */
  readonly maxLine: number;
  readonly emit: (event: Piece) => void;
}

/** What one stream has not finished. */
interface Stream {
  readonly joiner: LineJoiner | undefined;
  /** A line whose last part has not come. */
  line: PendingEvent | undefined;
  /** Whether the line's first parts were handed out before. */
  isRest: boolean;
  /** An event that may go on. */
  event: PendingEvent | undefined;
  /** Empty lines behind the event, which belong to it if it goes on. */
  blanks: number;
}

export class Assembler {
  readonly #options: AssemblerOptions;
  readonly #streams = new Map<string, Stream>();
  #held: Piece[] = [];
  /** What unfinished events may keep from the checkpoint. One stream may be silent while another never is. */
  readonly #maxSpan: number;

  constructor(options: AssemblerOptions) {
    this.#options = options;
    this.#maxSpan = 2 * Math.max(options.maxLine, options.maxBytes);
  }

  get pendingFrom(): number | undefined {
    let from: number | undefined = this.#held[0]?.start;
    for (const { start } of this.#held) from = Math.min(from ?? start, start);
    for (const { event, line } of this.#streams.values()) {
      const start = (event ?? line)?.start;
      if (start !== undefined) from = Math.min(from ?? start, start);
    }
    return from;
  }

  /** Takes the next line; `isPartial` where it goes on in the stream's next one. */
  add(piece: Piece, isPartial: boolean): void {
    const stream = this.#streamOf(piece.stream);
    if (isPartial) this.#addPart(stream, piece);
    else if (stream.line !== undefined || stream.isRest) this.#endLine(stream, piece);
    else this.#addLine(stream, piece);
    if (this.#streams.size > 1) this.#boundSpan(piece.end);
    if (this.#held.length > 0) this.#release();
  }

  /** Hands out everything as it is. */
  flush(): void {
    for (const stream of this.#streams.values()) this.#finish(stream);
    this.#release();
  }

  #streamOf(name: string | undefined): Stream {
    const key = name ?? "";
    const known = this.#streams.get(key);
    if (known !== undefined) return known;
    const joiner = this.#options.createJoiner?.();
    const stream = { joiner, line: undefined, isRest: false, event: undefined, blanks: 0 };
    this.#streams.set(key, stream);
    return stream;
  }

  #addPart(stream: Stream, piece: Piece): void {
    if (stream.line === undefined) {
      stream.line = new PendingEvent(piece);
    } else if (stream.line.size + piece.size > this.#options.maxLine) {
      this.#cutLine(stream);
      stream.line = new PendingEvent(piece);
    } else {
      stream.line.append(piece, "");
    }
  }

  #endLine(stream: Stream, piece: Piece): void {
    if ((stream.line?.size ?? 0) + piece.size > this.#options.maxLine) this.#cutLine(stream);
    const { line, isRest } = stream;
    stream.line = undefined;
    stream.isRest = false;
    line?.append(piece, "");
    this.#addLine(
      stream,
      line === undefined ? { ...piece, isCut: piece.isCut || isRest } : line.toPiece(isRest),
    );
  }

  /** Hands out what has come of a line; the rest is marked as one too. */
  #cutLine(stream: Stream): void {
    const { line } = stream;
    if (line === undefined) return;
    stream.line = undefined;
    stream.isRest = true;
    this.#addLine(stream, line.toPiece(true));
  }

  #addLine(stream: Stream, piece: Piece): void {
    const { joiner } = stream;
    if (joiner === undefined || piece.isCut) {
      this.#endEvent(stream, false);
      if (piece.text !== "") this.#emit(piece);
      return;
    }
    if (piece.text === "") {
      if (stream.event !== undefined) stream.blanks++;
      return;
    }
    if (stream.event === undefined || !joiner.joins(piece.text)) {
      this.#endEvent(stream, false);
      joiner.begin(piece.text);
      stream.event = new PendingEvent(piece);
      return;
    }
    this.#continueEvent(stream, stream.event, piece);
  }

  #continueEvent(stream: Stream, event: PendingEvent, piece: Piece): void {
    const { maxLines, maxBytes } = this.#options;
    const lines = event.lines + stream.blanks + 1;
    if (lines > maxLines || event.size + piece.size > maxBytes) {
      this.#endEvent(stream, true);
      stream.event = new PendingEvent({ ...piece, isCut: true });
      return;
    }
    event.append(piece, "\n".repeat(stream.blanks + 1));
    stream.blanks = 0;
  }

  #endEvent(stream: Stream, isCut: boolean): void {
    const { event } = stream;
    stream.event = undefined;
    stream.blanks = 0;
    if (event !== undefined) this.#emit(event.toPiece(isCut));
  }

  #finish(stream: Stream): void {
    this.#cutLine(stream);
    this.#endEvent(stream, false);
  }

  #emit(piece: Piece): void {
    if (this.#held.length === 0 && piece.end < this.#earliestEnd()) this.#options.emit(piece);
    else this.#held.push(piece);
  }

  #release(): void {
    const limit = this.#earliestEnd();
    this.#held.sort((a, b) => a.end - b.end);
    const count = this.#held.findIndex(({ end }) => end >= limit);
    const ready = count < 0 ? this.#held : this.#held.slice(0, count);
    this.#held = count < 0 ? [] : this.#held.slice(count);
    for (const piece of ready) this.#options.emit(piece);
  }

  /** Up to where events may be handed out: no unfinished one ends before. */
  #earliestEnd(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const { event, line } of this.#streams.values()) {
      const end = (event ?? line)?.end;
      if (end !== undefined && end < earliest) earliest = end;
    }
    return earliest;
  }

  /** Hands out unfinished events that lie too far behind `position`. */
  #boundSpan(position: number): void {
    for (const stream of this.#streams.values()) {
      const pending = stream.event ?? stream.line;
      if (pending !== undefined && pending.start < position - this.#maxSpan) this.#finish(stream);
    }
  }
}
