/** What the tests of delivery share: a receiver that does as it is told, files as numbers, and a world that can be killed. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../../../kernel/host.ts";
import type { Counter, Labels } from "../../../kernel/meter.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import type { Lot, LogRecord, Origin } from "../record.ts";
import type { BatchLimits, Outcome, Piece, Sink } from "../sinks/sink.ts";
import type { DeliveryMetrics } from "./delivery-metrics.ts";
import { type DeliveryLimits, type FolderDelivery, openDelivery } from "./open-delivery.ts";

export const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Everything of one kind that was counted, whatever the sink. */
export type Counts = { -readonly [Name in keyof DeliveryMetrics]: number };

export function countingMetrics(): { metrics: DeliveryMetrics; counts: Counts } {
  const counts: Counts = {
    deliveredRecords: 0,
    deliveredBytes: 0,
    batches: 0,
    retried: 0,
    deadLettered: 0,
    deadLettersDropped: 0,
    replayed: 0,
    duplicated: 0,
    damaged: 0,
  };
  function counter(name: keyof Counts): Counter {
    const add = (by = 1): void => {
      counts[name] += by;
    };
    return { add: (by?: number, _labels?: Labels) => add(by), with: () => ({ add }) };
  }
  const metrics: DeliveryMetrics = {
    deliveredRecords: counter("deliveredRecords"),
    deliveredBytes: counter("deliveredBytes"),
    batches: counter("batches"),
    retried: counter("retried"),
    deadLettered: counter("deadLettered"),
    deadLettersDropped: counter("deadLettersDropped"),
    replayed: counter("replayed"),
    duplicated: counter("duplicated"),
    damaged: counter("damaged"),
  };
  return { metrics, counts };
}

export const ACCEPTED: Outcome = { kind: "answered", refusals: [] };
export const DOWN: Outcome = { kind: "unavailable", because: "connection refused" };

export type Behaviour = (
  batch: readonly Piece[],
  signal: AbortSignal,
) => Outcome | Promise<Outcome> | undefined;

/** Answers as its behaviour says; undefined leaves the request open until `answer`. */
export class ScriptedSink implements Sink {
  readonly name: string;
  readonly limits: BatchLimits;
  behaviour: Behaviour;
  /** Texts of every call, in order. */
  readonly calls: string[][] = [];
  isClosed = false;
  #open: { resolve: (outcome: Outcome) => void } | undefined;
  #called: (() => void) | undefined;

  constructor(behaviour: Behaviour, limits: Partial<BatchLimits> = {}, name = "http") {
    this.name = name;
    this.behaviour = behaviour;
    this.limits = { maxBytes: 1_000, maxRecords: 10, maxWaitMs: 0, ...limits };
  }

  encode({ text, origin, end }: LogRecord): Piece {
    return { text, group: origin.key, nanos: String(end), id: `${origin.key}@${end}` };
  }

  send(batch: readonly Piece[], signal: AbortSignal): Promise<Outcome> {
    this.calls.push(batch.map(({ text }) => text));
    this.#called?.();
    const outcome = this.behaviour(batch, signal);
    if (outcome !== undefined) return Promise.resolve(outcome);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#open = { resolve };
    return promise;
  }

  /** Ends the request that is open. */
  answer(outcome: Outcome): void {
    this.#open?.resolve(outcome);
    this.#open = undefined;
  }

  /** Resolves at the next call. */
  called(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#called = resolve;
    return promise;
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

/** A file whose records end at 10, 20, 30, ... */
export class NumberedFile {
  readonly origin: Origin;
  /** Records that were read. */
  read = 0;

  constructor(key: string) {
    this.origin = { key, path: `/var/log/${key}.log` };
  }

  /** The next records; `isDropped` leaves some of them out, as a filter does. */
  lot(count: number, isDropped: (number: number) => boolean = () => false): Lot {
    const start = this.read * 10;
    const records: LogRecord[] = [];
    for (let number = this.read + 1; number <= this.read + count; number += 1) {
      if (!isDropped(number)) records.push(this.record(number));
    }
    this.read += count;
    return { origin: this.origin, records, start, end: this.read * 10, bytes: count * 10 };
  }

  record(number: number): LogRecord {
    const { origin } = this;
    return {
      text: `${origin.key}:${number}`,
      time: "2026-01-01T00:00:00Z",
      fields: {},
      origin,
      end: number * 10,
    };
  }
}

export const LIMITS: DeliveryLimits = {
  memoryBytes: 2 ** 20,
  bufferBytes: 2 ** 20,
  deadLetterBytes: 2 ** 20,
};

/** One process's life of a delivery, on a clock that stands still. */
export interface World extends AsyncDisposable {
  readonly delivery: FolderDelivery;
  readonly clock: ManualClock;
  readonly counts: Counts;
  readonly folder: string;
}

export interface WorldOptions {
  readonly folder: string;
  readonly sinks: readonly Sink[];
  readonly limits?: Partial<DeliveryLimits>;
  readonly random?: () => number;
}

export async function openWorld({ folder, sinks, limits, random = () => 0.5 }: WorldOptions): Promise<World> {
  const clock = new ManualClock();
  const { metrics, counts } = countingMetrics();
  const host = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    schedule: (ms: number, callback: () => void) => clock.schedule(ms, callback),
    log: SILENT,
  };
  const delivery = await openDelivery({
    folder,
    sinks,
    host,
    limits: { ...LIMITS, ...limits },
    metrics,
    random,
  });
  return { delivery, clock, counts, folder, [Symbol.asyncDispose]: () => delivery.stop() };
}

/** Resolves when the delivery does nothing more by itself: it waits for time, records or its receivers. */
export async function quiet({ delivery }: Pick<World, "delivery">): Promise<void> {
  do await turn();
  while (delivery.isBusy);
}

/** Everything that can run without waiting has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets time go by until the promise is settled, at most an hour of it. */
export async function elapse<Result>(world: World, promise: Promise<Result>): Promise<Result> {
  let isSettled = false;
  const watched = promise.finally(() => {
    isSettled = true;
  });
  for (let second = 0; second < 3_600; second += 1) {
    await quiet(world);
    if (isSettled) return watched;
    world.clock.advance(1_000);
  }
  throw new Error("not settled after an hour");
}

/** A folder that is removed when the test is over. */
export function testFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "pillion-delivery-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** What a kill at this moment leaves, in a new folder: the old one goes on being written to by who does not know that it is dead. */
export function leftBehind(folder: string, parent: string): string {
  const copy = join(mkdtempSync(join(parent, "life-")), "state");
  cpSync(folder, copy, { recursive: true });
  return copy;
}
