/** One sink's way out: a queue in memory, a shelf on disk behind it, one request at a time, strictly oldest first. */
import type { Clock } from "../../../kernel/clock.ts";
import { Bell } from "../../../lib/bell.ts";
import type { Lot } from "../record.ts";
import type { Outcome, Piece, Sink } from "../sinks/sink.ts";
import type { Batch } from "./batch.ts";
import { BatchRun, type Hopeless, type LaneHands } from "./batch-run.ts";
import type { Kept } from "./block.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { Courier } from "./courier.ts";
import type { LaneMetrics } from "./delivery-metrics.ts";
import { encodeLot } from "./encode-lot.ts";
import type { FileMarks } from "./file-marks.ts";
import { type Amount, type LaneChange, mergeChanges } from "./lane-change.ts";
import { LaneMemory } from "./lane-memory.ts";
import { LaneWaiters } from "./lane-waiters.ts";
import { Narrowing } from "./narrowing.ts";
import { Pace } from "./pace.ts";
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

/** How long a request may go on when everything in memory is to be kept. */
const KEEP_GRACE_MS = 300;
/** How long an aborted request may take to end. */
const ABORT_MS = 100;

export class Lane {
  readonly #options: LaneOptions;
  readonly #clock: Clock;
  readonly #shelf: Shelf;
  readonly #memory: LaneMemory;
  readonly #bell: Bell;
  readonly #courier: Courier;
  readonly #pace: Pace;
  readonly #hands: LaneHands;
  readonly #waiters = new LaneWaiters();
  /** What others want to have done to the shelf, which only the lane's own loop touches. */
  readonly #jobs: (() => Promise<void>)[] = [];
  /** Noted and not yet in the journal. */
  #pending: LaneChange | undefined;
  #because: unknown;
  #isHurried = false;
  #isStopped = false;
  #isBusy = false;
  #done: Promise<void> = Promise.resolve();

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#shelf = options.shelf;
    const { shelf, clock, memoryBytes } = options;
    this.#memory = new LaneMemory({ shelf, clock, limitBytes: memoryBytes });
    this.#bell = new Bell(options.clock);
    this.#courier = new Courier(options.sink, this.#bell);
    this.#pace = new Pace(options.clock, options.random);
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
    // Records may lie behind their lot's end, where an event that began before them is not finished yet.
    if (lot.end <= after && (lot.records.at(-1)?.end ?? 0) <= after) return;
    const at = this.#clock.monotonic();
    const part = encodeLot(lot, { sink, marks: isStale ? undefined : marks, after, at });
    if (!isStale) marks.offered[lane] = part.end;
    const { queue, isOlderAtRisk, run } = this.#memory;
    if (part.pieces.length === 0 && queue.isEmpty && !isOlderAtRisk) {
      if (!isStale) this.#commit({ moves: new Map([[marks, part.end]]) });
      return;
    }
    queue.push(part);
    if (run === undefined || this.#mustEmptyMemory()) this.#bell.ring();
  }

  /** Undefined when there is room for another lot; else resolves when there is. */
  get room(): Promise<void> | undefined {
    if (!this.#memory.isFull || this.#isStopped) return undefined;
    this.#bell.ring();
    return this.#waiters.room();
  }

  hurry(): void {
    this.#isHurried = true;
    this.#bell.ring();
  }

  /** As `Delivery.drain`, for this lane. */
  drain(keep: boolean): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    this.hurry();
    this.#pace.end();
    if (keep) this.#memory.keep();
    return this.#waiters.drained(keep);
  }

  /** Puts dead letters into the buffer again; resolves with how many, from the first on, there was room for. */
  replay(kept: readonly Kept[], ids: readonly string[]): Promise<number> {
    if (this.#isStopped) return Promise.resolve(0);
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#jobs.push(async () => {
      const changeFor = (count: number): LaneChange => ({ replayed: ids.slice(0, count) });
      const count = await this.#shelf.put("buffer", kept, { changeFor, isWhole: false });
      this.#options.metrics.replayed.add(count);
      resolve(count);
    });
    this.#bell.ring();
    return promise;
  }

  /** Resolves when the lane has let go of everything; a request that does not end is left behind. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#courier.abort();
    this.#bell.ring();
    this.#waiters.giveRoom();
    await this.#done;
    this.#flush();
    this.#waiters.kept();
    this.#waiters.done();
  }

  get queuedRecords(): number {
    return this.#memory.records;
  }

  get queuedBytes(): number {
    return this.#memory.bytes;
  }

  /** What it takes of memory, everything around the texts included. */
  get cost(): number {
    return this.#memory.cost;
  }

  get keptRecords(): number {
    return this.#shelf.records;
  }

  get keptBytes(): number {
    return this.#shelf.bytes;
  }

  /** Why its receiver takes nothing; undefined when it does. */
  get trouble(): unknown {
    return this.#because;
  }

  /** False while it waits for time, records or its receiver, and does nothing by itself. For tests. */
  get isBusy(): boolean {
    return this.#isBusy || (this.#jobs.length > 0 && !this.#isStopped);
  }

  async #live(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#deliver();
      } catch (because) {
        // A state folder that is gone, for example. Nothing was noted as safe: it goes back, and everything is tried again.
        this.#because = because;
        this.#memory.putBack();
        this.#pace.failed();
      }
    }
    this.#isBusy = false;
    for (const job of this.#jobs.splice(0)) await job();
  }

  async #deliver(): Promise<void> {
    for (let batch = await this.#next(); batch !== undefined; batch = await this.#next()) {
      if (batch.pieces.length === 0) this.#note(batch.settle(0));
      else if (!(await this.#bring(new BatchRun(batch, this.#hands)))) return;
    }
  }

  /** False when the lane has stopped before the batch was through. */
  async #bring(run: BatchRun): Promise<boolean> {
    this.#memory.run = run;
    while (!(await run.run())) {
      if (this.#isStopped) return false;
      if (run.batch.from === "memory" && (await this.#park(run))) break;
    }
    this.#memory.run = undefined;
    this.#giveRoom();
    return true;
  }

  async #park(run: BatchRun): Promise<boolean> {
    this.#flush();
    const isParked = await this.#memory.park(run);
    if (isParked) this.#pace.retryFirst();
    else this.#waiters.kept();
    return isParked;
  }

  /** Waits until there is something to send; undefined when the lane stops. */
  async #next(): Promise<Batch | undefined> {
    while (!this.#isStopped) {
      this.#isBusy = true;
      await this.#doChores();
      // One moment for both: what becomes due in between would be neither taken nor waited for.
      const now = this.#clock.monotonic();
      const batch = await this.#take(now);
      if (batch !== undefined) return batch;
      await this.#wait(this.#msUntilDue(now));
    }
    return undefined;
  }

  async #take(now: number): Promise<Batch | undefined> {
    const { limits } = this.#options.sink;
    const { retry, buffer, isRetryFirst } = this.#shelf;
    if (now < this.#pace.resumeAt || this.#courier.isOut || this.#isStopped) return undefined;
    const isRetryDue = retry.records > 0 && now >= this.#pace.retryAt;
    if (isRetryDue) return (await retry.read(limits)) ?? this.#afterDamage({ retry: retry.span });
    if (isRetryFirst || retry.bytes >= limits.maxBytes) return undefined;
    if (buffer.records > 0) return (await buffer.read(limits)) ?? this.#afterDamage({ buffer: buffer.span });
    return this.#isReady(now) ? this.#memory.queue.take(limits) : undefined;
  }

  /** Nothing could be read, and the place moved on. */
  #afterDamage(change: LaneChange): undefined {
    this.#note(change);
    this.#bell.ring();
  }

  #isReady(now: number): boolean {
    const { maxBytes, maxRecords, maxWaitMs } = this.#options.sink.limits;
    const { oldestAt, bytes, records } = this.#memory.queue;
    if (oldestAt === undefined) return false;
    if (this.#isHurried || this.#memory.isFull || records === 0) return true;
    return bytes >= maxBytes || records >= maxRecords || now - oldestAt >= maxWaitMs;
  }

  #msUntilDue(now: number): number | undefined {
    const { oldestAt } = this.#memory.queue;
    let due = Number.POSITIVE_INFINITY;
    const consider = (at: number): void => {
      // What is due already and cannot be taken waits for something else, which rings.
      if (at > now && at < due) due = at;
    };
    consider(this.#pace.resumeAt);
    consider(this.#memory.shelfRestsUntil);
    if (this.#shelf.retry.records > 0) consider(this.#pace.retryAt);
    if (oldestAt !== undefined) consider(oldestAt + this.#options.sink.limits.maxWaitMs);
    return due === Number.POSITIVE_INFINITY ? undefined : due - now;
  }

  #mustEmptyMemory(): boolean {
    // Back-pressure of a slow receiver ends where the pod does: what is not read by then may go with it.
    return this.#memory.mustEmpty(this.#because !== undefined || this.#isHurried);
  }

  /** What only the lane's own loop may do; true when there was something. */
  async #doChores(): Promise<boolean> {
    const jobs = this.#jobs.splice(0);
    for (const job of jobs) await job();
    const { queue, isBatchAtRisk } = this.#memory;
    if (isBatchAtRisk || queue.isEmpty) return jobs.length > 0;
    if (queue.records === 0) {
      // Only records that were dropped: nobody has to be asked.
      const batch = queue.take(this.#options.sink.limits);
      if (batch !== undefined) this.#note(batch.settle(0));
      return true;
    }
    if (!this.#mustEmptyMemory()) return jobs.length > 0;
    this.#flush();
    if (!(await this.#memory.shelve())) this.#waiters.kept();
    this.#giveRoom();
    return true;
  }

  /** The only place where the lane stands still. */
  async #wait(ms?: number): Promise<void> {
    this.#flush();
    if (this.#memory.isEmpty) {
      this.#waiters.kept();
      if (this.#shelf.records === 0 && this.#memory.run === undefined) this.#waiters.done();
    }
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
      progressed: () => this.#pace.progressed(),
      metrics,
      narrowing: new Narrowing(),
    };
  }

  /** Undefined when the batch has to make way before the answer is there. */
  async #request(pieces: readonly Piece[], atRisk: Amount): Promise<Outcome | undefined> {
    while (this.#courier.isOut && !this.#isStopped) await this.#wait();
    if (this.#isStopped) return undefined;
    this.#note({ inFlight: atRisk });
    this.#flush();
    this.#courier.send(pieces);
    let abortedAt: number | undefined;
    while (this.#courier.isOut && !this.#isStopped) {
      if (await this.#doChores()) continue;
      const { keepSince, isBatchAtRisk } = this.#memory;
      if (keepSince === undefined || !isBatchAtRisk) {
        await this.#wait();
        continue;
      }
      const now = this.#clock.monotonic();
      const end = abortedAt === undefined ? keepSince + KEEP_GRACE_MS : abortedAt + ABORT_MS;
      if (now < end) await this.#wait(end - now);
      else if (abortedAt === undefined) {
        abortedAt = now;
        this.#courier.abort();
      } else return undefined;
    }
    const { outcome } = this.#courier;
    // What an abort of ours did says nothing of the receiver.
    return this.#isStopped || (abortedAt !== undefined && outcome?.kind === "unavailable")
      ? undefined
      : outcome;
  }

  async #pause(retryAfterMs?: number): Promise<boolean> {
    this.#pace.failed(retryAfterMs);
    while (!this.#isStopped) {
      const now = this.#clock.monotonic();
      if (this.#memory.isBatchAtRisk && this.#mustEmptyMemory()) return false;
      if (now >= this.#pace.resumeAt) return true;
      if (!(await this.#doChores())) await this.#wait(this.#pace.resumeAt - now);
    }
    return false;
  }

  async #tryLater(kept: readonly Kept[]): Promise<boolean> {
    this.#pace.refused();
    const count = await this.#shelf.put("retry", kept, { changeFor: () => ({}), isWhole: true });
    return count === kept.length;
  }

  #note(change: LaneChange): void {
    this.#pending = mergeChanges(this.#pending, change);
    if (this.#shelf.retry.records === 0) this.#pace.retried();
    if (change.buffer !== undefined || change.retry !== undefined) this.#memory.wakeShelf();
  }

  #flush(): void {
    const change = this.#pending;
    if (change === undefined) return;
    this.#pending = undefined;
    const { buffer, retry } = this.#shelf;
    this.#commit({
      ...change,
      // As they are now: something may have been put there since the change was noted.
      ...(change.buffer === undefined ? {} : { buffer: buffer.span }),
      ...(change.retry === undefined ? {} : { retry: retry.span }),
    });
  }

  #commit(change: LaneChange): void {
    this.#options.checkpoints.commit(this.#options.lane, change);
  }

  #giveRoom(): void {
    if (!this.#memory.isFull) this.#waiters.giveRoom();
  }
}
