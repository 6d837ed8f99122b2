/** Text that is still being put together, and what it is made of. */

/** A line, a part of one, or an event, with its place in the file. */
export interface Piece {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** Bytes of the text in the file, without the wrapper and the last line end. */
  readonly size: number;
  readonly time: string | undefined;
  readonly stream: string | undefined;
  /** A part of something longer, which is an event of its own. */
  readonly isCut: boolean;
}

/** Grows by pieces of one stream; time and begin are those of the first. */
export class PendingEvent {
  readonly #first: Piece;
  readonly #texts: string[];
  #end: number;
  #size: number;
  #lines = 1;

  constructor(first: Piece) {
    this.#first = first;
    this.#texts = [first.text];
    this.#end = first.end;
    this.#size = first.size;
  }

  get start(): number {
    return this.#first.start;
  }

  get end(): number {
    return this.#end;
  }

  get size(): number {
    return this.#size;
  }

  get lines(): number {
    return this.#lines;
  }

  append(piece: Piece, separator: string): void {
    if (separator !== "") this.#texts.push(separator);
    this.#texts.push(piece.text);
    this.#lines += separator.length;
    this.#size += separator.length + piece.size;
    this.#end = piece.end;
  }

  toPiece(isCut: boolean): Piece {
    if (this.#texts.length === 1 && isCut === this.#first.isCut) return this.#first;
    return {
      ...this.#first,
      text: this.#texts.join(""),
      end: this.#end,
      size: this.#size,
      isCut: isCut || this.#first.isCut,
    };
  }
}
