/** Keeps checkpoints: in memory as they are, on disk as one line per batch, so that a crash costs one batch of duplicates at most. */
import { join } from "node:path";
import type { Clock } from "../../../kernel/clock.ts";
import type { Log } from "../../../kernel/host.ts";
import { type Journal, openJournal } from "../../../lib/journal.ts";
import { checkpointsDamaged, checkpointsUnwritable } from "./checkpoint-problems.ts";
import type { Checkpoint, CheckpointStore } from "./delivery.ts";
import { type FileMarks, lowestOf } from "./file-marks.ts";
import {
  addUp,
  changeLine,
  chunked,
  emptyLane,
  fileLine,
  FORMAT,
  type JournalLine,
  type JournalState,
  laneLine,
  type LaneRecord,
} from "./journal-lines.ts";
import { type Amount, type LaneChange, NOTHING } from "./lane-change.ts";

export interface CheckpointOptions {
  readonly folder: string;
  /** Names of the sinks; their order gives the lanes their numbers. */
  readonly lanes: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** The file is written anew when it has grown by so much and by three times what is in it, bytes. */
const COMPACT_BYTES = 2 ** 20;
const COMPACT_TIMES = 3;
/** How often a file that could not be written is tried again, milliseconds. */
const RETRY_MS = 1_000;

type Listener = (key: string, offset: number) => void;

/** Reads the folder's journal or begins one. A damaged one is set aside. Errors are the file system's, and `E_STATE_NEWER`. */
export function openCheckpoints(options: CheckpointOptions): Checkpoints {
  const { journal, lines, damage, setAsideAs } = openJournal(join(options.folder, "checkpoints"));
  const state = addUp(lines);
  const isLost = damage === "damaged" || (state === undefined && lines.length > 0);
  if (isLost) options.log.warn("checkpoints were damaged; records may be sent again", { kept: setAsideAs });
  return new Checkpoints(options, journal, { state, damagedFile: isLost ? (setAsideAs ?? "") : undefined });
}

interface Found {
  readonly state: JournalState | undefined;
  /** Where what could not be read was put. */
  readonly damagedFile: string | undefined;
}

export class Checkpoints implements CheckpointStore {
  /** By lane: what may have been sent twice because the process ended while it was in flight. */
  readonly interrupted: readonly Amount[];
  /** False when lines were lost or there were none: buffers may hold more than the spans say. */
  readonly isExact: boolean;
  /** Dead letters that stand in a buffer and still in their file. */
  readonly replayed = new Set<string>();
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #damagedFile: string | undefined;
  readonly #names: readonly string[];
  /** Lanes of the configuration first, then those that it once had and whose buffers may be there. */
  readonly #lanes: LaneRecord[];
  readonly #files = new Map<string, FileMarks>();
  readonly #listeners: Listener[] = [];
  #lastNumber: number;
  #unwritten: FileMarks[] = [];
  #gone: number[] = [];
  #isFlushDue = false;
  /** The file lacks lines: only writing it anew mends that. */
  #isBehind = false;
  #cancelRetry: (() => void) | undefined;
  #isClosed = false;
  #snapshotBytes = 0;

  constructor({ lanes, clock }: CheckpointOptions, journal: Journal, { state, damagedFile }: Found) {
    this.#clock = clock;
    this.#journal = journal;
    this.#damagedFile = damagedFile;
    this.isExact = damagedFile === undefined && state !== undefined;
    const former = state?.lanes.filter((name) => !lanes.includes(name)) ?? [];
    this.#names = [...lanes, ...former];
    this.#lanes = this.#names.map((name) => state?.laneRecords.get(name) ?? emptyLane());
    this.interrupted = lanes.map((_, lane) => this.#lanes[lane]?.inFlight ?? NOTHING);
    this.#lastNumber = state?.lastNumber ?? 0;
    if (state !== undefined) this.#load(state);
    this.#begin(state);
  }

  *all(): Iterable<Checkpoint> {
    for (const marks of this.#files.values()) yield checkpointOf(marks);
  }

  get(key: string): Checkpoint | undefined {
    const marks = this.#files.get(key);
    return marks === undefined ? undefined : checkpointOf(marks);
  }

  remember(key: string, identity: unknown, offset = 0): void {
    const known = this.#files.get(key);
    if (known !== undefined) known.identity = identity;
    this.#declare(known ?? this.#add(key, identity, offset));
  }

  reset(key: string, identity: unknown): void {
    const known = this.#files.get(key);
    if (known !== undefined) known.isCurrent = false;
    const marks = this.#add(key, identity, 0);
    marks.awaitsStart = known !== undefined;
    this.#declare(marks);
  }

  forget(key: string): void {
    const marks = this.#files.get(key);
    if (marks === undefined) return;
    marks.isCurrent = false;
    this.#files.delete(key);
    this.#gone.push(marks.number);
    this.#flushSoon();
  }

  onMoved(listener: Listener): void {
    this.#listeners.push(listener);
  }

  troubles(): readonly unknown[] {
    const troubles: unknown[] = [];
    if (this.#damagedFile !== undefined) troubles.push(checkpointsDamaged(this.#damagedFile));
    if (this.#isBehind) troubles.push(checkpointsUnwritable(this.#journal.trouble));
    return troubles;
  }

  /** Known or begun at `start`. */
  marksOf(key: string, start: number): FileMarks {
    const known = this.#files.get(key);
    if (known !== undefined) return known;
    this.remember(key, null, start);
    return this.marksOf(key, start);
  }

  /** Offset that a lane has of a file; 0 for one that is not known. */
  offsetOf(key: string, lane: number): number {
    return this.#files.get(key)?.safe[lane] ?? 0;
  }

  /** Where a lane's buffers stood. */
  laneOf(lane: number): LaneRecord {
    return this.#lanes[lane] ?? emptyLane();
  }

  /** `interrupted` has been told: only then it may be forgotten, or a kill in between would hide it. */
  forgetInterrupted(): void {
    for (const [lane, { records }] of this.interrupted.entries()) {
      if (records > 0) this.commit(lane, { inFlight: NOTHING });
    }
  }

  /** Notes a change, on disk where that is possible, and tells who listens. */
  commit(lane: number, change: LaneChange): void {
    this.#write(changeLine(lane, change));
    this.#tell(this.#apply(lane, change));
    if (this.#isBulky()) this.#compact();
  }

  /** Notes a change that others rely upon: false when it is not on the disk, and then nothing has changed. */
  async commitDurably(lane: number, change: LaneChange): Promise<boolean> {
    if (!this.#write(changeLine(lane, change))) return false;
    const moved = this.#apply(lane, change);
    const isDurable = await this.#journal.sync();
    // The line is in the kernel's hands in any case: a crash of the machine may cost it, the end of this process does not.
    if (!isDurable) this.#fallBehind();
    this.#tell(moved);
    return true;
  }

  /** The dead letters that were queued again have left their file. */
  clearReplayed(): void {
    this.replayed.clear();
    this.#write({ d: 0 });
  }

  /** What is still noted afterwards counts in memory only: the file may have another owner. */
  close(): void {
    this.#flush();
    if (this.#isBehind) this.#compact();
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#journal.close();
  }

  #load({ lanes, files, replayed }: JournalState): void {
    for (const id of replayed) this.replayed.add(id);
    const count = this.interrupted.length;
    for (const [number, { key, identity, offsets }] of files) {
      // A sink that is new, or that was away, takes part from where the file stands.
      const known = offsets.filter((offset) => offset !== undefined);
      const lowest = known.length === 0 ? 0 : Math.min(...known);
      const safe = this.#names.slice(0, count).map((name) => offsets[lanes.indexOf(name)] ?? lowest);
      const marks = { key, number, identity, safe, offered: [...safe], isCurrent: true, awaitsStart: false };
      this.#files.set(key, marks);
    }
  }

  /** The numbers of lanes in the file must be those of this configuration. */
  #begin(state: JournalState | undefined): void {
    const isSame = state !== undefined && this.#names.every((name, lane) => state.lanes[lane] === name);
    if (!isSame || !this.isExact || this.#isBulky()) {
      this.#compact();
    }
  }

  #add(key: string, identity: unknown, offset: number): FileMarks {
    this.#lastNumber += 1;
    const safe = this.interrupted.map(() => offset);
    const marks: FileMarks = {
      key,
      number: this.#lastNumber,
      identity,
      safe,
      offered: [...safe],
      isCurrent: true,
      awaitsStart: false,
    };
    this.#files.set(key, marks);
    return marks;
  }

  #declare(marks: FileMarks): void {
    this.#unwritten.push(marks);
    this.#flushSoon();
  }

  /** Thousands of files are found in one go: they share lines. */
  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushDue = false;
    const files = this.#unwritten.filter(({ isCurrent }) => isCurrent);
    const gone = this.#gone;
    if (files.length === 0 && gone.length === 0) return;
    this.#unwritten = [];
    this.#gone = [];
    for (const f of chunked(files.map(fileLine))) this.#append({ f });
    if (gone.length > 0) this.#append({ g: gone });
  }

  #write(line: JournalLine): boolean {
    if (this.#isFlushDue) this.#flush();
    return this.#append(line);
  }

  #append(line: JournalLine): boolean {
    if (!this.#isBehind && this.#journal.append(line)) return true;
    this.#fallBehind();
    return false;
  }

  #isBulky(): boolean {
    return this.#journal.size > COMPACT_BYTES + COMPACT_TIMES * this.#snapshotBytes;
  }

  /** Everything as it is now, in a new file. */
  #compact(): boolean {
    const lines: JournalLine[] = [{ v: FORMAT, lanes: this.#names }];
    for (const f of chunked([...this.#files.values()].map(fileLine))) lines.push({ f });
    lines.push({ l: this.#lanes.map((record, lane) => [lane, laneLine(record)]) });
    if (this.replayed.size > 0) lines.push({ d: [...this.replayed] });
    if (!this.#journal.replace(lines)) {
      this.#fallBehind();
      return false;
    }
    this.#unwritten = [];
    this.#gone = [];
    this.#isBehind = false;
    this.#snapshotBytes = this.#journal.size;
    return true;
  }

  #fallBehind(): void {
    this.#isBehind = true;
    if (this.#isClosed) return;
    this.#cancelRetry ??= this.#clock.schedule(RETRY_MS, () => {
      this.#cancelRetry = undefined;
      if (this.#isBehind) this.#compact();
    });
  }

  #apply(lane: number, { moves, inFlight, buffer, retry, replayed }: LaneChange): FileMarks[] {
    const record = this.#lanes[lane];
    if (record !== undefined) {
      record.inFlight = inFlight ?? record.inFlight;
      record.buffer = buffer ?? record.buffer;
      record.retry = retry ?? record.retry;
    }
    for (const id of replayed ?? []) this.replayed.add(id);
    const moved: FileMarks[] = [];
    for (const [marks, offset] of moves ?? []) {
      if (!marks.isCurrent) continue;
      const before = lowestOf(marks);
      marks.safe[lane] = Math.max(marks.safe[lane] ?? 0, offset);
      if (lowestOf(marks) > before) moved.push(marks);
    }
    return moved;
  }

  #tell(moved: readonly FileMarks[]): void {
    for (const marks of moved) for (const listener of this.#listeners) listener(marks.key, lowestOf(marks));
  }
}

function checkpointOf(marks: FileMarks): Checkpoint {
  return { key: marks.key, offset: lowestOf(marks), identity: marks.identity };
}
