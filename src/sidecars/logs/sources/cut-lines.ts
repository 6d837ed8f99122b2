/** Where a chunk may end. */

const LINE_END = 10;

export interface CutOptions {
  /** Nothing stands behind these bytes now. */
  readonly isEnd: boolean;
  /** And nothing will come: an unfinished last line is complete as it is. */
  readonly mayEnd: boolean;
  /** A longer line, its end not counted, is handed out in parts of this size. */
  readonly maxLine: number;
}

export interface Cut {
  /** How many of the bytes to hand out; 0 waits for more. */
  readonly length: number;
  /** They end within a line. */
  readonly isCut: boolean;
}

/** Whole lines; else a part of a line that is too long, else what is left at the end of all. */
export function cutLines(bytes: Buffer, { isEnd, mayEnd, maxLine }: CutOptions): Cut {
  const whole = bytes.lastIndexOf(LINE_END) + 1;
  if (whole > 0) return { length: whole, isCut: false };
  if (bytes.length > maxLine) return { length: characterStart(bytes, maxLine), isCut: true };
  return { length: isEnd && mayEnd ? bytes.length : 0, isCut: false };
}

/** The offset at or shortly before `at` where a UTF-8 character begins; `at` itself where the text is no UTF-8. */
function characterStart(bytes: Buffer, at: number): number {
  for (let back = 1; back <= 4 && back < at; back++) {
    const byte = bytes[at - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? at - back : at;
  }
  return at;
}
