/** Brings one batch to its end: sends it, sends again what has to be, gives up what no retry can deliver. */
import type { Outcome, Piece } from "../sinks/sink.ts";
import type { Batch } from "./batch.ts";
import type { Kept } from "./block.ts";
import type { LaneMetrics } from "./delivery-metrics.ts";
import { UNENCODABLE } from "./encode-lot.ts";
import { type Amount, type LaneChange, NOTHING } from "./lane-change.ts";
import type { Narrowing } from "./narrowing.ts";

/** What a receiver will never take. */
export interface Hopeless extends Kept {
  readonly reason: string;
}

/** The lane, as a batch on its way sees it. */
export interface LaneHands {
  /** Notes what is at risk from now on, and sends. Undefined: the lane has no time for the answer. */
  request(pieces: readonly Piece[], atRisk: Amount): Promise<Outcome | undefined>;
  /** Waits longer with every failure in a row, or as long as the receiver asks; false when the batch has to make way before. */
  pause(retryAfterMs?: number): Promise<boolean>;
  note(change: LaneChange): void;
  /** Resolves when they are safe, or counted as lost. */
  giveUp(letters: readonly Hopeless[]): Promise<void>;
  /** Keeps what is to be tried again, ahead of everything newer; false when there is no room. */
  tryLater(kept: readonly Kept[]): Promise<boolean>;
  /** The receiver takes nothing; undefined: it does again. */
  hindered(because: unknown): void;
  /** Something was delivered: the next failure is the first in a row. */
  progressed(): void;
  readonly metrics: LaneMetrics;
  readonly narrowing: Narrowing;
}

export class BatchRun {
  readonly batch: Batch;
  readonly #hands: LaneHands;
  /** Indices that are neither delivered nor given up, ascending. */
  #left: number[] = [];
  #settled = 0;
  /** Behind the last record that was ever sent. */
  #sentTo = 0;

  constructor(batch: Batch, hands: LaneHands) {
    this.batch = batch;
    this.#hands = hands;
    for (let index = 0; index < batch.pieces.length; index += 1) this.#left.push(index);
    hands.narrowing.forget();
  }

  /** Resolves true when nothing is left of it, false when it had to make way. Can be called again then. */
  async run(): Promise<boolean> {
    const { narrowing } = this.#hands;
    await this.#giveUpUnencodable();
    while (this.#left.length > 0) {
      const isUntouched = this.#left.length === this.batch.pieces.length;
      const sizes = isUntouched ? this.batch.sizes : this.#left.map((index) => this.batch.sizes[index] ?? 0);
      const count = narrowing.next(sizes);
      const now = this.#left.slice(0, count);
      const isWhole = count === this.batch.pieces.length;
      const pieces = isWhole ? this.batch.pieces : now.flatMap((index) => this.batch.pieces[index] ?? []);
      const outcome = await this.#hands.request(pieces, this.#atRisk(now.at(-1) ?? 0));
      if (outcome === undefined || !(await this.#take(outcome, now))) return false;
    }
    this.#hands.note({ inFlight: NOTHING });
    return true;
  }

  /** What is neither delivered nor given up. */
  left(): Kept[] {
    return this.#left.map((index) => this.#keptAt(index));
  }

  get leftRecords(): number {
    return this.#left.length;
  }

  get leftBytes(): number {
    let bytes = 0;
    for (const index of this.#left) bytes += this.batch.sizes[index] ?? 0;
    return bytes;
  }

  /** How many, from the first on, need nothing more. */
  get settled(): number {
    return this.#settled;
  }

  /** False when the batch has to make way. */
  async #take(outcome: Outcome, sent: readonly number[]): Promise<boolean> {
    const { metrics, narrowing } = this.#hands;
    if (outcome.kind === "unavailable") {
      metrics.retried.add(sent.length);
      this.#hands.hindered(outcome.because);
      return this.#hands.pause(outcome.retryAfterMs);
    }
    this.#hands.hindered(undefined);
    metrics.batches.add(1);
    if (outcome.kind === "answered") return this.#takeAnswer(outcome.refusals, sent);
    this.#hands.progressed();
    const isFound =
      outcome.kind === "refused"
        ? narrowing.refused(sent.length)
        : narrowing.tooLarge(
            sent.length,
            sent.reduce((sum, index) => sum + (this.batch.sizes[index] ?? 0), 0),
          );
    if (isFound) {
      await this.#giveUp(sent, () => outcome.reason);
      this.#resolve(new Set(sent));
    } else metrics.retried.add(sent.length);
    return true;
  }

  async #takeAnswer(
    refusals: (Outcome & { kind: "answered" })["refusals"],
    sent: readonly number[],
  ): Promise<boolean> {
    const { metrics, narrowing } = this.#hands;
    narrowing.accepted(sent.length);
    const retryable: number[] = [];
    const hopeless = new Map<number, string>();
    for (const { index, isRetryable, reason } of refusals) {
      const at = sent[index];
      if (at === undefined) continue;
      if (isRetryable) retryable.push(at);
      else hopeless.set(at, reason);
    }
    const refused = new Set([...retryable, ...hopeless.keys()]);
    if (refused.size < sent.length) this.#hands.progressed();
    let bytes = 0;
    for (const index of sent) if (!refused.has(index)) bytes += this.batch.sizes[index] ?? 0;
    metrics.deliveredRecords.add(sent.length - refused.size);
    metrics.deliveredBytes.add(bytes);
    if (refused.size === 0) {
      this.#resolve(undefined, sent.length);
      return true;
    }
    await this.#giveUp([...hopeless.keys()], (index) => hopeless.get(index) ?? "");
    metrics.retried.add(retryable.length);
    const later = retryable.sort((a, b) => a - b).map((index) => this.#keptAt(index));
    const isKept = later.length === 0 || (await this.#hands.tryLater(later));
    const held = new Set(isKept ? [] : retryable);
    this.#resolve(new Set(sent.filter((index) => !held.has(index))));
    return isKept || this.#hands.pause();
  }

  async #giveUpUnencodable(): Promise<void> {
    const bad = this.#left.filter((index) => this.batch.pieces[index]?.group === UNENCODABLE);
    if (bad.length === 0) return;
    await this.#giveUp(bad, () => "Cannot encode this record: that is a bug in Pillion");
    this.#resolve(new Set(bad));
  }

  #giveUp(indices: readonly number[], reasonOf: (index: number) => string): Promise<void> {
    return this.#hands.giveUp(indices.map((index) => ({ ...this.#keptAt(index), reason: reasonOf(index) })));
  }

  /** These need nothing more; without a set, the first `count` of those that are left. */
  #resolve(done: ReadonlySet<number> | undefined, count = 0): void {
    this.#left =
      done === undefined ? this.#left.slice(count) : this.#left.filter((index) => !done.has(index));
    const settled = this.#left[0] ?? this.batch.pieces.length;
    if (settled === this.#settled) return;
    this.#settled = settled;
    this.#hands.note(this.batch.settle(settled));
  }

  /** Everything that may have arrived and would be sent again after a crash. */
  #atRisk(last: number): Amount {
    this.#sentTo = Math.max(this.#sentTo, last + 1);
    let bytes = 0;
    for (let index = this.#settled; index < this.#sentTo; index += 1) bytes += this.batch.sizes[index] ?? 0;
    return { records: this.#sentTo - this.#settled, bytes };
  }

  #keptAt(index: number): Kept {
    const piece = this.batch.pieces[index];
    if (piece === undefined)
      throw new RangeError(`no record ${index} in a batch of ${this.batch.pieces.length}`);
    return { piece, size: this.batch.sizes[index] ?? 0, path: this.batch.paths[index] ?? "" };
  }
}
