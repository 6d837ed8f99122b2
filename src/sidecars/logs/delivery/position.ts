/** Places in a disk buffer, as the journal of checkpoints keeps them. */

export interface Position {
  /** Number of the segment file. */
  readonly segment: number;
  /** Offset of a block in it. */
  readonly offset: number;
  /** How many pieces of that block are done with. */
  readonly index: number;
}

/** What a buffer holds: from the oldest piece that is not delivered to behind the newest that may be relied upon. */
export interface Span {
  readonly head: Position;
  readonly tail: Position;
}

/** Short, for the journal. */
export type SpanLine = readonly [
  headSegment: number,
  headOffset: number,
  headIndex: number,
  tailSegment: number,
  tailOffset: number,
];

export function spanLine({ head, tail }: Span): SpanLine {
  return [head.segment, head.offset, head.index, tail.segment, tail.offset];
}

export function spanOf(line: SpanLine): Span {
  const [segment, offset, index, tailSegment, tailOffset] = line;
  return { head: { segment, offset, index }, tail: { segment: tailSegment, offset: tailOffset, index: 0 } };
}

/** Whether `a` is before `b`. */
export function isBefore(a: Position, b: Position): boolean {
  if (a.segment !== b.segment) return a.segment < b.segment;
  return a.offset !== b.offset ? a.offset < b.offset : a.index < b.index;
}
