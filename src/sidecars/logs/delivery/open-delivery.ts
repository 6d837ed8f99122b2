/** Opens everything behind the pipeline: checkpoints, a lane per sink, dead letters. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../kernel/clock.ts";
import type { DeadLetters } from "../../../kernel/dead-letters.ts";
import type { Log } from "../../../kernel/host.ts";
import { messageOf, Problem } from "../../../kernel/problem.ts";
import type { Undelivered } from "../../../kernel/sidecar.ts";
import { DeadLetterFile } from "../../../lib/dead-letter-file.ts";
import { type FolderLock, lockFolder } from "../../../lib/folder-lock.ts";
import type { Lot } from "../record.ts";
import type { Sink } from "../sinks/sink.ts";
import { type Checkpoints, openCheckpoints } from "./checkpoints.ts";
import { DeadLetterStore } from "./dead-letter-store.ts";
import type { CheckpointStore, Delivery, LaneProgress } from "./delivery.ts";
import { type DeliveryMetrics, type LaneMetrics, metricsOf } from "./delivery-metrics.ts";
import { Lane } from "./lane.ts";
import { segmentNumber } from "./segment.ts";
import { Shelf } from "./shelf.ts";

export interface DeliveryOptions {
  /** Its own, made when it is missing; one process at a time. */
  readonly folder: string;
  /** Their names must differ. */
  readonly sinks: readonly Sink[];
  readonly host: Clock & { readonly log: Log };
  readonly limits: DeliveryLimits;
  readonly metrics: DeliveryMetrics;
  /** From 0 to below 1, for back-off. @default {Math.random} */
  readonly random?: () => number;
}

export interface DeliveryLimits {
  /** For each sink's records in memory with everything around them, bytes; one lot more may be there. */
  readonly memoryBytes: number;
  /** For each sink's files, bytes. */
  readonly bufferBytes: number;
  /** For the dead letters of all sinks, bytes. */
  readonly deadLetterBytes: number;
}

/** How long sinks may take to close, milliseconds. */
const CLOSE_MS = 100;

/**
 * Throws `Problem`: `E_FOLDER_IN_USE`, `E_FOLDER_UNUSABLE`, `E_STATE_NEWER`, `E_STATE_UNREADABLE`. Damaged files are set aside
 * and reported through `troubles`.
 */
export async function openDelivery(options: DeliveryOptions): Promise<FolderDelivery> {
  const { folder } = options;
  let lock: FolderLock | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    lock = lockFolder(folder);
    const delivery = new FolderDelivery(options, lock);
    await delivery.start();
    return delivery;
  } catch (error) {
    lock?.release();
    if (error instanceof Problem) throw error;
    throw new Problem({
      code: "E_STATE_UNREADABLE",
      message: `Cannot use the state folder "${folder}": ${messageOf(error)}`,
      fix: "Give this user the folder, and see that its disk can be read",
      cause: error,
    });
  }
}

/** Made by `openDelivery` only. */
export class FolderDelivery implements Delivery {
  readonly #options: DeliveryOptions;
  readonly #lock: FolderLock;
  readonly #checkpoints: Checkpoints;
  readonly #letters: DeadLetterStore;
  readonly #shelves: Shelf[] = [];
  readonly #metrics: LaneMetrics[] = [];
  readonly #lanes: Lane[] = [];
  readonly #orphans: readonly Problem[];
  #stopping: Promise<void> | undefined;

  constructor(options: DeliveryOptions, lock: FolderLock) {
    const { folder, sinks, host, limits, metrics } = options;
    this.#options = options;
    this.#lock = lock;
    const names = sinks.map(({ name }) => name);
    this.#checkpoints = openCheckpoints({ folder, lanes: names, clock: host, log: host.log });
    mkdirSync(join(folder, "dead-letters"), { recursive: true, mode: 0o700 });
    this.#letters = new DeadLetterStore({
      file: new DeadLetterFile(join(folder, "dead-letters", "records.jsonl"), limits.deadLetterBytes),
      clock: host,
      checkpoints: this.#checkpoints,
      laneOf: (sink) => this.#targetOf(names.indexOf(sink)),
    });
    for (const [lane, sink] of sinks.entries()) this.#addLane(sink, lane, metricsOf(metrics, sink.name));
    this.#orphans = orphansIn(join(folder, "buffers"), names);
  }

  get checkpoints(): CheckpointStore {
    return this.#checkpoints;
  }

  get deadLetters(): DeadLetters {
    return this.#letters;
  }

  async start(): Promise<void> {
    await this.#letters.recover();
    this.#reportInterrupted();
    this.#checkpoints.forgetInterrupted();
    for (const lane of this.#lanes) lane.start();
  }

  offer(lot: Lot): Promise<void> {
    const marks = this.#checkpoints.marksOf(lot.origin.key, lot.start);
    if (lot.start === 0) marks.awaitsStart = false;
    for (const lane of this.#lanes) lane.offer(lot, marks);
    const waits = this.#lanes.flatMap((lane) => lane.room ?? []);
    return waits.length === 0 ? THERE_IS_ROOM : Promise.all(waits).then(() => undefined);
  }

  hurry(): void {
    for (const lane of this.#lanes) lane.hurry();
  }

  async drain(keep: boolean): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.drain(keep)));
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  undelivered(): Undelivered {
    let [records, bytes, keptBytes] = [0, 0, 0];
    for (const lane of this.#lanes) {
      records += lane.queuedRecords + lane.keptRecords;
      bytes += lane.queuedBytes + lane.keptBytes;
      keptBytes += lane.keptBytes;
    }
    return { records, bytes, keptBytes };
  }

  troubles(): readonly unknown[] {
    const sinks = this.#lanes.flatMap(({ trouble }) => trouble ?? []);
    const shelves = this.#shelves.flatMap((shelf) => shelf.troubles());
    return [...sinks, ...shelves, ...this.#letters.troubles(), ...this.#orphans];
  }

  *lanes(): Iterable<LaneProgress> {
    for (const [number, lane] of this.#lanes.entries()) {
      yield {
        sink: lane.sink.name,
        queuedRecords: lane.queuedRecords,
        queuedBytes: lane.queuedBytes,
        bufferedBytes: lane.keptBytes,
        trouble: lane.trouble,
        offsetOf: (key) => this.#checkpoints.offsetOf(key, number),
      };
    }
  }

  /** For tests: see `Lane.isBusy` and `Lane.cost`. */
  get isBusy(): boolean {
    return this.#lanes.some(({ isBusy }) => isBusy);
  }

  get memoryCost(): number {
    return Math.max(...this.#lanes.map(({ cost }) => cost));
  }

  async #stop(): Promise<void> {
    const { host, sinks } = this.#options;
    await Promise.all(this.#lanes.map((lane) => lane.stop()));
    await this.#letters.settled();
    this.#checkpoints.close();
    const closed = Promise.allSettled(sinks.map((sink) => sink.close()));
    const { promise: tooLate, resolve } = Promise.withResolvers<void>();
    const cancel = host.schedule(CLOSE_MS, resolve);
    await Promise.race([closed, tooLate]);
    cancel();
    this.#lock.release();
  }

  #addLane(sink: Sink, lane: number, metrics: LaneMetrics): void {
    const { folder, host, limits, random = Math.random } = this.#options;
    const shelf = new Shelf({
      folder: join(folder, "buffers", folderName(sink.name)),
      sink: sink.name,
      lane,
      checkpoints: this.#checkpoints,
      limitBytes: limits.bufferBytes,
      batch: sink.limits,
      damaged: (records, bytes) => {
        metrics.damaged.add(records);
        host.log.error("a disk buffer was damaged", { sink: sink.name, records, bytes });
      },
    });
    this.#shelves.push(shelf);
    this.#metrics.push(metrics);
    this.#lanes.push(
      new Lane({
        sink,
        lane,
        shelf,
        checkpoints: this.#checkpoints,
        giveUp: (name, letters) => this.#letters.add(name, letters),
        memoryBytes: limits.memoryBytes,
        clock: host,
        metrics,
        random,
      }),
    );
  }

  #targetOf(lane: number): { replay: Lane["replay"]; metrics: LaneMetrics } | undefined {
    const target = this.#lanes[lane];
    const metrics = this.#metrics[lane];
    if (target === undefined || metrics === undefined) return undefined;
    return { replay: (kept, ids) => target.replay(kept, ids), metrics };
  }

  #reportInterrupted(): void {
    const { host, sinks } = this.#options;
    for (const [lane, { records, bytes }] of this.#checkpoints.interrupted.entries()) {
      if (records === 0) continue;
      this.#metrics[lane]?.duplicated.add(records);
      const sink = sinks[lane]?.name;
      host.log.warn("records may be sent twice: the process ended while they were on their way", {
        sink,
        atMostRecords: records,
        atMostBytes: bytes,
      });
    }
  }
}

const THERE_IS_ROOM = Promise.resolve();

/** Names of sinks are ours; this only makes sure that none leaves the folder. */
function folderName(sink: string): string {
  return encodeURIComponent(sink).replaceAll(".", "%2E");
}

/** Buffers of sinks that the configuration has no more, with something in them. */
function orphansIn(folder: string, sinks: readonly string[]): Problem[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const known = new Set(sinks.map(folderName));
  return readdirSync(folder)
    .filter((name) => !known.has(name) && hasSegments(join(folder, name)))
    .map(
      (name) =>
        new Problem({
          code: "E_BUFFER_ORPHANED",
          message: `Cannot deliver what is kept in "${join(folder, name)}": the configuration has no sink "${name}" any more`,
          fix: "Put the sink back into the configuration until its buffer is empty, or remove the folder",
        }),
    );
}

function hasSegments(folder: string): boolean {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).some((name) => {
    return segmentNumber(name.slice(name.lastIndexOf("/") + 1)) !== undefined;
  });
}
