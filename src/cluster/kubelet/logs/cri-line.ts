/** One line of a CRI log file: `<RFC 3339> stdout|stderr F|P <text>`. */

export interface CriLine {
  /** As written: RFC 3339 with nanoseconds, so that texts of one length compare as times. */
  readonly time: string;
  /** False when the text goes on in the next line of the stream. */
  readonly isFull: boolean;
  /** Where the text begins in the buffer. */
  readonly textStart: number;
}

const SPACE = 0x20;
const PARTIAL = 0x50;

/** Reads the line in `buffer[start, end)`, newline not included; `undefined` when it is none. */
export function parseCriLine(buffer: Buffer, start: number, end: number): CriLine | undefined {
  const afterTime = buffer.indexOf(SPACE, start);
  if (afterTime < 0 || afterTime >= end) return undefined;
  const afterStream = buffer.indexOf(SPACE, afterTime + 1);
  if (afterStream < 0 || afterStream >= end) return undefined;
  const tagStart = afterStream + 1;
  if (tagStart >= end) return undefined;
  const afterTag = buffer.indexOf(SPACE, tagStart);
  return {
    time: buffer.toString("latin1", start, afterTime),
    isFull: buffer[tagStart] !== PARTIAL,
    textStart: afterTag < 0 || afterTag >= end ? end : afterTag + 1,
  };
}
