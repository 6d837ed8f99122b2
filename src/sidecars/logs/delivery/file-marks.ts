/** How far each lane is with one file, between two times that it was emptied. */

export interface FileMarks {
  readonly key: string;
  /** What the journal calls it; never used again. */
  readonly number: number;
  identity: unknown;
  /** By lane: everything before it is delivered, dead-lettered or kept. */
  readonly safe: number[];
  /** By lane: everything before it was taken over by the lane. */
  readonly offered: number[];
  /** False once the file was emptied or forgotten: its offsets say nothing any more. */
  isCurrent: boolean;
  /** The file was emptied and nothing was read since: what comes from before does not move its offsets. */
  awaitsStart: boolean;
}

/** What all lanes have. */
export function lowestOf({ safe }: FileMarks): number {
  let lowest = safe[0] ?? 0;
  for (const offset of safe) if (offset < lowest) lowest = offset;
  return lowest;
}
