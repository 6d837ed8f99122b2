/** The lines in which checkpoints are kept, and what a journal of them adds up to. */
import { Problem } from "../../../kernel/problem.ts";
import type { FileMarks } from "./file-marks.ts";
import { type Amount, type LaneChange, NOTHING } from "./lane-change.ts";
import { type Span, type SpanLine, spanLine, spanOf } from "./position.ts";

/** Files in one line, so that no line is huge. */
const FILES_PER_LINE = 200;
/** Grows with every change that an older version would misread. */
export const FORMAT = 1;

/** Short keys: one line is written for every batch. */
export interface JournalLine {
  /** First line only: the format, and the names of lanes in the order that numbers mean. */
  readonly v?: number;
  readonly lanes?: readonly string[];
  /** Files: number, key, identity, offset of each lane. */
  readonly f?: readonly FileLine[];
  /** Numbers of files that are gone. */
  readonly g?: readonly number[];
  /** A lane's change. */
  readonly l?: readonly [lane: number, change: LaneLine][];
  /** Dead letters that were queued again and are still in their file; 0: none is left in it. */
  readonly d?: readonly string[] | 0;
}

export type FileLine = readonly [number: number, key: string, identity: unknown, offsets: readonly number[]];

export interface LaneLine {
  /** File, offset, file, offset, ... */
  readonly m?: readonly number[];
  /** In flight: records, bytes. */
  readonly i?: readonly [number, number];
  readonly b?: SpanLine;
  readonly r?: SpanLine;
}

/** What is known of a lane by name, whether or not the configuration still has it. */
export interface LaneRecord {
  inFlight: Amount;
  buffer: Span | undefined;
  retry: Span | undefined;
}

export interface FileRecord {
  readonly key: string;
  readonly identity: unknown;
  /** By the journal's own lane numbers. */
  readonly offsets: (number | undefined)[];
}

export interface JournalState {
  readonly lanes: readonly string[];
  readonly laneRecords: Map<string, LaneRecord>;
  /** By number. */
  readonly files: Map<number, FileRecord>;
  readonly replayed: Set<string>;
  readonly lastNumber: number;
}

export function emptyLane(): LaneRecord {
  return { inFlight: NOTHING, buffer: undefined, retry: undefined };
}

/** Undefined when the lines are no journal of checkpoints. Throws `E_STATE_NEWER`. */
export function addUp(lines: readonly unknown[]): JournalState | undefined {
  // Checksums are right: what has the first line's mark was written by us.
  const [first, ...rest] = lines as readonly JournalLine[];
  if (first?.v === undefined || first.lanes === undefined) return undefined;
  if (first.v > FORMAT) throw newer(first.v);
  const laneRecords = new Map(first.lanes.map((name) => [name, emptyLane()]));
  const state = {
    lanes: first.lanes,
    laneRecords,
    files: new Map<number, FileRecord>(),
    replayed: new Set<string>(),
  };
  const numbers = new Map<string, number>();
  let lastNumber = 0;
  for (const line of rest) {
    for (const [number, key, identity, offsets] of line.f ?? []) {
      const known = numbers.get(key);
      // Under another number the same file begins anew.
      if (known !== undefined && known !== number) state.files.delete(known);
      numbers.set(key, number);
      state.files.set(number, { key, identity, offsets: [...offsets] });
      lastNumber = Math.max(lastNumber, number);
    }
    for (const number of line.g ?? []) state.files.delete(number);
    for (const [lane, change] of line.l ?? []) applyLane(state, lane, change);
    if (line.d === 0) state.replayed.clear();
    else for (const id of line.d ?? []) state.replayed.add(id);
  }
  return { ...state, lastNumber };
}

function applyLane(
  { lanes, laneRecords, files }: Pick<JournalState, "lanes" | "laneRecords" | "files">,
  lane: number,
  { m = [], i, b, r }: LaneLine,
): void {
  for (let at = 0; at + 1 < m.length; at += 2) {
    const file = files.get(m[at] ?? 0);
    if (file !== undefined) file.offsets[lane] = Math.max(file.offsets[lane] ?? 0, m[at + 1] ?? 0);
  }
  const record = laneRecords.get(lanes[lane] ?? "");
  if (record === undefined) return;
  if (i !== undefined) record.inFlight = { records: i[0], bytes: i[1] };
  if (b !== undefined) record.buffer = spanOf(b);
  if (r !== undefined) record.retry = spanOf(r);
}

/** A lane as a new journal begins with it. */
export function laneLine({ inFlight, buffer, retry }: LaneRecord): LaneLine {
  return {
    ...(inFlight.records > 0 ? { i: [inFlight.records, inFlight.bytes] as const } : {}),
    ...(buffer === undefined ? {} : { b: spanLine(buffer) }),
    ...(retry === undefined ? {} : { r: spanLine(retry) }),
  };
}

function newer(format: number): Problem {
  return new Problem({
    code: "E_STATE_NEWER",
    message: `Cannot read the checkpoints: they have format ${format}, this version knows up to ${FORMAT}`,
    fix: "Use the version of Pillion that wrote them, or give the sidecar another state folder",
  });
}

/** A file as a line declares it. */
export function fileLine({ number, key, identity, safe }: FileMarks): FileLine {
  return [number, key, identity, safe];
}

/** Not too many in one line. */
export function* chunked(files: readonly FileLine[]): Iterable<readonly FileLine[]> {
  for (let from = 0; from < files.length; from += FILES_PER_LINE)
    yield files.slice(from, from + FILES_PER_LINE);
}

/** What a lane's change is in a line of its own. */
export function changeLine(lane: number, change: LaneChange): JournalLine {
  const { replayed } = change;
  return { l: [[lane, lineOf(change)]], ...(replayed === undefined ? {} : { d: replayed }) };
}

function lineOf({ moves, inFlight, buffer, retry }: LaneChange): LaneLine {
  const m: number[] = [];
  for (const [marks, offset] of moves ?? []) if (marks.isCurrent) m.push(marks.number, offset);
  return {
    ...(m.length > 0 ? { m } : {}),
    ...(inFlight === undefined ? {} : { i: [inFlight.records, inFlight.bytes] as const }),
    ...(buffer === undefined ? {} : { b: spanLine(buffer) }),
    ...(retry === undefined ? {} : { r: spanLine(retry) }),
  };
}
