/** One sink's way out: a queue in memory, a shelf on disk behind it, one request at a time, strictly oldest first. */
import type { Clock } from "../../../kernel/clock.ts";
import { backOffMs } from "../../../lib/back-off.ts";
import { Bell } from "../../../lib/bell.ts";
import type { Lot } from "../record.ts";
import type { Outcome, Piece, Sink } from "../sinks/sink.ts";
import type { Batch } from "./batch.ts";
import { BatchRun, type Hopeless, type LaneHands } from "./batch-run.ts";
import type { Kept } from "./block.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { LaneMetrics } from "./delivery-metrics.ts";
import { encodeLot } from "./encode-lot.ts";
import type { FileMarks } from "./file-marks.ts";
import { type Amount, type LaneChange, mergeChanges } from "./lane-change.ts";
import { MemoryQueue } from "./memory-queue.ts";
import { Narrowing } from "./narrowing.ts";
import type { Shelf } from "./shelf.ts";

export interface LaneOptions {
  readonly sink: Sink;
  /** Its number in the checkpoints. */
  readonly lane: number;
  readonly checkpoints: Checkpoints;
  readonly shelf: Shelf;
  /** Resolves when the records are safe or counted as lost. */
  readonly giveUp: (sink: string, letters: readonly Hopeless[]) => Promise<void>;
  readonly memoryBytes: number;
  readonly clock: Clock;
  readonly metrics: LaneMetrics;
  readonly random: () => number;
}

const LONGEST_BACK_OFF_MS = 30_000;
/** While the pod ends there is no time for more. */
const LONGEST_BACK_OFF_AT_END_MS = 1_000;
const FIRST_BACK_OFF_MS = 500;
/** A receiver may ask for more than we wait by ourselves, but not for hours. */
const LONGEST_RETRY_AFTER_MS = 300_000;
/** How long a request may go on when everything in memory is to be kept. */
const KEEP_GRACE_MS = 300;
/** How long an aborted request may take to end. */
const ABORT_MS = 100;
/** How long a shelf that had no room is left alone. */
const SHELF_REST_MS = 5_000;
const UNLIMITED = { maxBytes: Number.POSITIVE_INFINITY, maxRecords: Number.POSITIVE_INFINITY };

interface Waiter {
  readonly keep: boolean;
  readonly resolve: () => void;
}

export class Lane {
  readonly #options: LaneOptions;
  readonly #clock: Clock;
  readonly #shelf: Shelf;
  readonly #queue = new MemoryQueue();
  readonly #bell: Bell;
  readonly #hands: LaneHands;
  readonly #jobs: (() => Promise<void>)[] = [];
  #abort = new AbortController();
  /** The batch on its way. */
  #run: BatchRun | undefined;
  /** On the way from memory to the shelf. */
  #moving: Batch | undefined;
  /** Noted and not yet in the journal. */
  #pending: LaneChange | undefined;
  #because: unknown;
  #isHurried = false;
  #isStopped = false;
  /** Since when everything in memory is to go to disk first; undefined when it need not. */
  #keepSince: number | undefined;
  /** Failures in a row. */
  #tries = 0;
  /** Nothing is sent before. */
  #resumeAt = Number.NEGATIVE_INFINITY;
  #retryTries = 0;
  #retryAt = Number.NEGATIVE_INFINITY;
  #shelfRestsUntil = Number.NEGATIVE_INFINITY;
  /** A request that did not end when it was aborted. */
  #lateRequest: Promise<unknown> | undefined;
  #isBusy = false;
  #waiters: Waiter[] = [];
  #room: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#shelf = options.shelf;
    this.#bell = new Bell(options.clock);
    this.#hands = this.#makeHands();
  }

  get sink(): Sink {
    return this.#options.sink;
  }

  start(): void {
    this.#done = this.#live();
  }

  /** Takes what it does not have yet. Ask `room` before the next lot. */
  offer(lot: Lot, marks: FileMarks): void {
    if (this.#isStopped) return;
    const { lane, sink } = this.#options;
    const isStale = marks.awaitsStart;
    const after = isStale ? -1 : (marks.offered[lane] ?? 0);
    if (lot.end <= after) return;
    const at = this.#clock.monotonic();
    const part = encodeLot(lot, { sink, marks: isStale ? undefined : marks, after, at });
    if (!isStale) marks.offered[lane] = lot.end;
    if (part.pieces.length === 0 && this.#queue.isEmpty && !this.#isMemoryAtRisk) {
      if (!isStale) this.#commit({ moves: new Map([[marks, lot.end]]) });
      return;
    }
    this.#queue.push(part);
    if (this.#bell.isAwaited && (this.#run === undefined || this.#mustShelve())) this.#bell.ring();
  }

  /** Undefined when there is room for another lot; else resolves when there is. */
  get room(): Promise<void> | undefined {
    if (!this.#isFull || this.#isStopped) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    this.#bell.ring();
    return this.#room.promise;
  }

  hurry(): void {
    this.#isHurried = true;
    this.#bell.ring();
  }

  /** As `Delivery.drain`, for this lane. */
  drain(keep: boolean): Promise<void> {
    this.hurry();
    // What waits for its time is tried once more at once.
    this.#resumeAt = Number.NEGATIVE_INFINITY;
    this.#retryAt = Number.NEGATIVE_INFINITY;
    if (keep) {
      this.#keepSince ??= this.#clock.monotonic();
      this.#shelfRestsUntil = Number.NEGATIVE_INFINITY;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ keep, resolve });
    return promise;
  }

  /** Puts dead letters into the buffer again; resolves with how many, from the first on, there was room for. */
  replay(kept: readonly Kept[], ids: readonly string[]): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#jobs.push(async () => {
      const changeFor = (count: number): LaneChange => ({ replayed: ids.slice(0, count) });
      const count = await this.#shelf.put("buffer", kept, { changeFor, isWhole: false });
      this.#options.metrics.replayed.add(count);
      resolve(count);
    });
    if (this.#isStopped) resolve(0);
    this.#bell.ring();
    return promise;
  }

  /** Resolves when the lane has let go of everything; a sink that does not end its request is left behind. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#abort.abort();
    this.#bell.ring();
    this.#releaseRoom();
    await this.#done;
    this.#flush();
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  get queuedRecords(): number {
    const running = this.#run?.batch.from === "memory" ? this.#run.leftRecords : 0;
    return this.#queue.records + running + (this.#moving?.pieces.length ?? 0);
  }

  get queuedBytes(): number {
    const running = this.#run?.batch.from === "memory" ? this.#run.leftBytes : 0;
    const moving = this.#moving?.sizes.reduce((sum, size) => sum + size, 0) ?? 0;
    return this.#queue.bytes + running + moving;
  }

  /** What it takes of memory, everything around the texts included. */
  get cost(): number {
    const running = this.#run?.batch.cost ?? 0;
    return this.#queue.cost + running + (this.#moving?.cost ?? 0);
  }

  get keptRecords(): number {
    return this.#shelf.records;
  }

  get keptBytes(): number {
    return this.#shelf.bytes;
  }

  /** What hinders its receiver; undefined when nothing does. */
  get trouble(): unknown {
    return this.#because;
  }

  /** False while it waits for time, records or its receiver, and does nothing by itself. For tests. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  async #live(): Promise<void> {
    while (!this.#isStopped) {
      const batch = await this.#next();
      if (batch === undefined) break;
      if (batch.pieces.length === 0) this.#note(batch.settle(0));
      else await this.#bring(new BatchRun(batch, this.#hands));
    }
    this.#isBusy = false;
    for (const job of this.#jobs.splice(0)) await job();
  }

  async #bring(run: BatchRun): Promise<void> {
    this.#run = run;
    while (!this.#isStopped && !(await run.run())) {
      if (this.#isStopped || (await this.#park(run))) break;
    }
    if (this.#isStopped) return;
    this.#run = undefined;
    this.#releaseRoom();
  }

  /** A batch out of memory makes way: it goes to disk, ahead of everything else. */
  async #park(run: BatchRun): Promise<boolean> {
    const { batch } = run;
    if (batch.from !== "memory") return false;
    this.#flush();
    const changeFor = () => batch.settle(batch.pieces.length);
    const kept = await this.#shelf.put("retry", run.left(), { changeFor, isWhole: true });
    if (kept > 0) {
      this.#shelf.putRetryFirst();
      this.#retryAt = this.#resumeAt;
      return true;
    }
    this.#letShelfRest();
    return false;
  }

  /** Waits until there is something to send; undefined when the lane ends. */
  async #next(): Promise<Batch | undefined> {
    while (!this.#isStopped) {
      this.#isBusy = true;
      await this.#doChores();
      const batch = this.#isStopped ? undefined : await this.#take();
      if (batch !== undefined) return batch;
      this.#flush();
      await this.#wait(this.#msUntilDue());
    }
    return undefined;
  }

  async #take(): Promise<Batch | undefined> {
    const { limits } = this.#options.sink;
    const { retry, buffer, isRetryFirst } = this.#shelf;
    const now = this.#clock.monotonic();
    if (now < this.#resumeAt || this.#lateRequest !== undefined) return undefined;
    const isRetryDue = retry.records > 0 && now >= this.#retryAt;
    if (isRetryDue) return (await retry.read(limits)) ?? this.#afterDamage({ retry: retry.span });
    if (isRetryFirst || retry.bytes >= limits.maxBytes) return undefined;
    if (buffer.records > 0) return (await buffer.read(limits)) ?? this.#afterDamage({ buffer: buffer.span });
    return this.#isReady(now) ? this.#queue.take(limits) : undefined;
  }

  /** Nothing could be read, and the place moved on. */
  #afterDamage(change: LaneChange): undefined {
    this.#note(change);
    this.#bell.ring();
  }

  #isReady(now: number): boolean {
    const { maxBytes, maxRecords, maxWaitMs } = this.#options.sink.limits;
    const { oldestAt, bytes, records } = this.#queue;
    if (oldestAt === undefined) return false;
    if (this.#isHurried || this.#isFull || records === 0) return true;
    return bytes >= maxBytes || records >= maxRecords || now - oldestAt >= maxWaitMs;
  }

  #msUntilDue(): number | undefined {
    const now = this.#clock.monotonic();
    const { oldestAt } = this.#queue;
    let due = Number.POSITIVE_INFINITY;
    const consider = (at: number): void => {
      // What is due already and cannot be taken waits for something else, which rings.
      if (at > now && at < due) due = at;
    };
    consider(this.#resumeAt);
    if (this.#shelf.retry.records > 0) consider(Math.max(this.#retryAt, this.#resumeAt));
    if (oldestAt !== undefined) consider(oldestAt + this.#options.sink.limits.maxWaitMs);
    return due === Number.POSITIVE_INFINITY ? undefined : due - now;
  }

  get #isFull(): boolean {
    return this.cost >= this.#options.memoryBytes;
  }

  /** Records in memory that are older than everything in the queue. */
  get #isMemoryAtRisk(): boolean {
    return this.#run?.batch.from === "memory" || this.#moving !== undefined;
  }

  /** Whether the queue has to go to disk now, as far as the shelf takes it. */
  #mustShelve(): boolean {
    if (this.#queue.isEmpty || this.#clock.monotonic() < this.#shelfRestsUntil) return false;
    return this.#keepSince !== undefined || (this.#isFull && this.#because !== undefined);
  }

  /** What only the lane's own loop may do; true when there was something. */
  async #doChores(): Promise<boolean> {
    let isDone = false;
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      await job();
      isDone = true;
    }
    // Behind a batch in memory nothing can be noted as safe.
    if (this.#run?.batch.from === "memory" || !this.#mustShelve()) return isDone;
    await this.#shelve();
    return true;
  }

  async #shelve(): Promise<void> {
    const batch = this.#queue.take(UNLIMITED);
    if (batch === undefined) return;
    if (batch.pieces.length === 0) {
      this.#note(batch.settle(0));
      return;
    }
    this.#moving = batch;
    const kept = batch.pieces.map((piece, index) => ({
      piece,
      size: batch.sizes[index] ?? 0,
      path: batch.paths[index] ?? "",
    }));
    this.#flush();
    const changeFor = (count: number) => batch.settle(count);
    const count = await this.#shelf.put("buffer", kept, { changeFor, isWhole: false });
    this.#moving = undefined;
    if (count < kept.length) {
      this.#queue.restore(batch, count);
      this.#letShelfRest();
    }
    this.#releaseRoom();
  }

  #letShelfRest(): void {
    this.#shelfRestsUntil = this.#clock.monotonic() + SHELF_REST_MS;
    this.#keepSince = undefined;
    for (const { resolve } of this.#takeWaiters(({ keep }) => keep)) resolve();
  }

  /** The bell, with everything else up to date; only here and there does the lane stand still. */
  async #wait(ms?: number): Promise<void> {
    this.#tellWaiters();
    this.#isBusy = false;
    await this.#bell.wait(ms);
    this.#isBusy = true;
  }

  #makeHands(): LaneHands {
    const { sink, giveUp, metrics } = this.#options;
    return {
      request: (pieces, atRisk) => this.#request(pieces, atRisk),
      pause: (retryAfterMs) => this.#pause(retryAfterMs),
      note: (change) => this.#note(change),
      giveUp: (letters) => giveUp(sink.name, letters),
      tryLater: (kept) => this.#tryLater(kept),
      hindered: (because) => {
        this.#because = because;
        if (because === undefined) this.#shelf.calm();
      },
      progressed: () => {
        this.#tries = 0;
      },
      metrics,
      narrowing: new Narrowing(),
    };
  }

  #backOffMs(tries: number): number {
    const longestMs = this.#waiters.length > 0 ? LONGEST_BACK_OFF_AT_END_MS : LONGEST_BACK_OFF_MS;
    return backOffMs(tries, { firstMs: FIRST_BACK_OFF_MS, longestMs }, this.#options.random);
  }

  async #request(pieces: readonly Piece[], atRisk: Amount): Promise<Outcome | undefined> {
    this.#note({ inFlight: atRisk });
    this.#flush();
    let outcome: Outcome | undefined;
    const sent = this.#send(pieces).then((value) => {
      outcome = value;
      this.#bell.ring();
    });
    let abortedAt: number | undefined;
    while (outcome === undefined && !this.#isStopped) {
      const now = this.#clock.monotonic();
      const hasTime = this.#keepSince === undefined || this.#run?.batch.from !== "memory";
      if (hasTime) {
        if (!(await this.#doChores())) await this.#wait();
        continue;
      }
      const leftMs =
        (abortedAt ?? this.#keepSince ?? now) + (abortedAt === undefined ? KEEP_GRACE_MS : ABORT_MS) - now;
      if (leftMs > 0) await this.#wait(leftMs);
      else if (abortedAt === undefined) {
        abortedAt = now;
        this.#abort.abort();
        this.#abort = new AbortController();
      } else {
        this.#leaveBehind(sent);
        return undefined;
      }
    }
    // What an abort of ours did says nothing of the receiver.
    return this.#isStopped || (abortedAt !== undefined && outcome?.kind === "unavailable")
      ? undefined
      : outcome;
  }

  async #send(pieces: readonly Piece[]): Promise<Outcome> {
    try {
      return await this.#options.sink.send(pieces, this.#abort.signal);
    } catch (because) {
      return { kind: "unavailable", because }; // A bug of the sink holds up its own lane only.
    }
  }

  /** One call at a time: nothing is sent until it ends, if it does. */
  #leaveBehind(sent: Promise<void>): void {
    const late = sent.then(() => {
      this.#lateRequest = undefined;
      this.#bell.ring();
    });
    this.#lateRequest = late;
  }

  async #pause(retryAfterMs?: number): Promise<boolean> {
    const ms = Math.min(retryAfterMs ?? this.#backOffMs(this.#tries), LONGEST_RETRY_AFTER_MS);
    this.#tries += 1;
    this.#resumeAt = this.#clock.monotonic() + ms;
    this.#flush();
    while (!this.#isStopped) {
      const now = this.#clock.monotonic();
      const isInMemory = this.#run?.batch.from === "memory";
      if (isInMemory && (this.#keepSince !== undefined || this.#mustShelve())) return false;
      if (now >= this.#resumeAt) return true;
      if (!(await this.#doChores())) await this.#wait(this.#resumeAt - now);
    }
    return false;
  }

  async #tryLater(kept: readonly Kept[]): Promise<boolean> {
    const isKept =
      (await this.#shelf.put("retry", kept, { changeFor: () => ({}), isWhole: true })) === kept.length;
    this.#retryAt = this.#clock.monotonic() + this.#backOffMs(this.#retryTries);
    this.#retryTries += 1;
    return isKept;
  }

  #note(change: LaneChange): void {
    this.#pending = mergeChanges(this.#pending, change);
    if (this.#shelf.retry.records === 0) this.#retryTries = 0;
    if (change.buffer !== undefined || change.retry !== undefined)
      this.#shelfRestsUntil = Number.NEGATIVE_INFINITY;
  }

  #flush(): void {
    if (this.#pending === undefined) return;
    const change = this.#pending;
    this.#pending = undefined;
    this.#commit(change);
  }

  #commit(change: LaneChange): void {
    this.#options.checkpoints.commit(this.#options.lane, change);
  }

  #releaseRoom(): void {
    if (this.#room === undefined || (this.#isFull && !this.#isStopped)) return;
    this.#room.resolve();
    this.#room = undefined;
  }

  #tellWaiters(): void {
    if (this.queuedRecords > 0 || !this.#queue.isEmpty) return;
    const isEmpty = this.#shelf.records === 0 && this.#run === undefined;
    for (const { resolve } of this.#takeWaiters(({ keep }) => keep || isEmpty)) resolve();
  }

  #takeWaiters(isMeant: (waiter: Waiter) => boolean): Waiter[] {
    const meant = this.#waiters.filter(isMeant);
    this.#waiters = this.#waiters.filter((waiter) => !isMeant(waiter));
    return meant;
  }
}
