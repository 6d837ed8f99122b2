/** The one loop of a log sidecar: pull a chunk, cut it into events, make records of them, hand them to delivery, wait for room. */
import type { Clock } from "../../kernel/clock.ts";
import { GarbageMeter } from "../../lib/garbage-meter.ts";
import type { Delivery } from "./delivery/delivery.ts";
import type { Events, Framer } from "./lines/events.ts";
import type { Parser } from "./parse/parser.ts";
import type { PipelineMetrics } from "./metrics.ts";
import type { Lot, LogRecord, Origin } from "./record.ts";
import type { Chunk, ChunkSource } from "./sources/chunk.ts";

export interface PipelineParts {
  readonly source: ChunkSource;
  readonly delivery: Delivery;
  readonly createFramer: (origin: Origin) => Framer;
  readonly parserOf: (origin: Origin) => Parser;
  /** False drops the record; the stage has counted it. */
  readonly process: (record: LogRecord) => boolean;
  /** Told of every lot before it is offered. */
  readonly onLot: (lot: Lot) => void;
  readonly clock: Clock;
  readonly metrics: PipelineMetrics;
  /** How long an event may stay unfinished while its file is quiet, milliseconds. */
  readonly quietMs: number;
}

/** How often the loop comes back while nothing is to be read, milliseconds. */
const IDLE_MS = 1_000;
/** So much text leaves about twelve times as much garbage. More often takes CPU time, less often memory. */
const GARBAGE_BYTES = 2.5 * 2 ** 20;
/** How long the loop may run without a turn for others, milliseconds. */
const SLICE_MS = 8;

interface FileState {
  readonly origin: Origin;
  readonly framer: Framer;
  readonly parse: Parser;
  /** Where the next lot begins: everything before it is in a lot. */
  next: number;
  /** Behind the last byte that the framer has. */
  readTo: number;
  /** When the unfinished event got its last line, of the monotonic clock. */
  quietSince: number;
}

export class Pipeline {
  readonly #parts: PipelineParts;
  readonly #files = new Map<string, FileState>();
  /** Files with an unfinished event. */
  readonly #pending = new Set<FileState>();
  readonly #garbage: GarbageMeter;
  #sliceEnd = 0;
  #leavesPending = false;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
    this.#garbage = new GarbageMeter({ bytes: GARBAGE_BYTES });
  }

  /** Resolves when the source has nothing more and everything read has been offered. Rejects for bugs only. */
  async run(): Promise<void> {
    const { source, clock } = this.#parts;
    for (;;) {
      const chunk = await source.next(this.#waitMs());
      if (chunk === undefined) break;
      if (chunk !== "idle") {
        await this.#take(chunk);
        this.#garbage.made(chunk.bytes.length);
      }
      if (this.#pending.size > 0) await this.#flushQuiet(clock.monotonic() - this.#parts.quietMs);
      await this.#giveWay();
    }
    if (!this.#leavesPending) await this.#flushQuiet(Number.POSITIVE_INFINITY);
  }

  /** Unfinished events are left for whoever reads on from the checkpoints. */
  leavePending(): void {
    this.#leavesPending = true;
  }

  /** Other sidecars of this process have their turn, however much there is to read. */
  async #giveWay(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    if (now < this.#sliceEnd) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#sliceEnd = this.#parts.clock.monotonic() + SLICE_MS;
  }

  #waitMs(): number {
    return this.#pending.size === 0 ? IDLE_MS : Math.min(IDLE_MS, Math.max(1, this.#parts.quietMs));
  }

  async #take(chunk: Chunk): Promise<void> {
    const file = await this.#fileOf(chunk);
    this.#parts.metrics.readBytes.add(chunk.bytes.length);
    const events = file.framer.push(chunk);
    file.readTo = chunk.start + chunk.bytes.length;
    const end = file.framer.pendingFrom ?? file.readTo;
    await this.#offer(file, { events, end: Math.max(file.next, end), bytes: chunk.bytes.length });
    if (chunk.isLast) {
      await this.#flush(file);
      this.#files.delete(chunk.origin.key);
    }
    if (file.framer.pendingFrom === undefined) {
      this.#pending.delete(file);
      return;
    }
    file.quietSince = this.#parts.clock.monotonic();
    this.#pending.add(file);
  }

  async #fileOf({ origin, start }: Chunk): Promise<FileState> {
    const known = this.#files.get(origin.key);
    if (known !== undefined && start === known.readTo) return known;
    // It does not go on where it was: what was unfinished is complete as it is.
    if (known !== undefined) await this.#flush(known);
    const { createFramer, parserOf, clock } = this.#parts;
    const file: FileState = {
      origin,
      framer: createFramer(origin),
      parse: parserOf(origin),
      next: start,
      readTo: start,
      quietSince: clock.monotonic(),
    };
    this.#files.set(origin.key, file);
    return file;
  }

  async #flushQuiet(before: number): Promise<void> {
    for (const file of this.#pending) {
      if (file.quietSince > before) continue;
      await this.#flush(file);
    }
  }

  async #flush(file: FileState): Promise<void> {
    this.#pending.delete(file);
    if (file.framer.pendingFrom === undefined) return;
    await this.#offer(file, { events: file.framer.flush(), end: file.readTo, bytes: 0 });
  }

  #offer(file: FileState, lot: { events: Events; end: number; bytes: number }): Promise<void> | undefined {
    const { delivery } = this.#parts;
    const { next } = file;
    if (lot.end === next && lot.events.texts.length === 0) return undefined;
    file.next = lot.end;
    const records = this.#recordsOf(file, lot.events);
    const made: Lot = { origin: file.origin, records, start: next, end: lot.end, bytes: lot.bytes };
    this.#parts.onLot(made);
    return delivery.offer(made);
  }

  #recordsOf({ origin, parse }: FileState, { texts, ends, times, streams, cuts }: Events): LogRecord[] {
    const { clock, process, metrics } = this.#parts;
    const readAt = new Date(clock.now()).toISOString();
    const records: LogRecord[] = [];
    let failed = 0;
    for (let index = 0; index < texts.length; index++) {
      const text = texts[index] ?? "";
      const { time, fields, problem } = parse(text);
      if (problem !== undefined) {
        fields["parseError"] = problem;
        failed++;
      }
      const stream = streams?.[index];
      if (stream !== undefined) fields["stream"] = stream;
      if (cuts?.has(index)) fields["cut"] = true;
      const record: LogRecord = {
        text,
        time: time ?? times?.[index] ?? readAt,
        fields,
        origin,
        end: ends[index] ?? 0,
      };
      if (process(record)) records.push(record);
    }
    metrics.events(texts.length - failed, failed);
    return records;
  }
}
