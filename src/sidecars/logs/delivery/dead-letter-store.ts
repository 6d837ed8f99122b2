/** Keeps what no retry can deliver, and queues it again when somebody has mended the cause. */
import type { Clock } from "../../../kernel/clock.ts";
import type { DeadLetter, DeadLetters } from "../../../kernel/dead-letters.ts";
import { messageOf, Problem } from "../../../kernel/problem.ts";
import type { DeadLetterFile, KeptLetter } from "../../../lib/dead-letter-file.ts";
import type { Hopeless } from "./batch-run.ts";
import type { Kept } from "./block.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { LaneMetrics } from "./delivery-metrics.ts";

export interface ReplayTarget {
  replay(kept: readonly Kept[], ids: readonly string[]): Promise<number>;
  readonly metrics: LaneMetrics;
}

export interface DeadLetterOptions {
  readonly file: DeadLetterFile;
  readonly clock: Clock;
  readonly checkpoints: Checkpoints;
  /** The lane of a sink; undefined when the configuration has it no more. */
  readonly laneOf: (sink: string) => ReplayTarget | undefined;
}

const LONGEST_REASON = 500;
/** Letters that go into a buffer in one step. */
const REPLAY_CHUNK = 500;
const ID_BYTES = 6;

/** What a letter holds beside its text to be sent again. */
interface Resend {
  readonly group: string;
  readonly nanos: string;
  readonly id: string;
}

export class DeadLetterStore implements DeadLetters {
  readonly #options: DeadLetterOptions;
  #trouble: unknown;
  #lost = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DeadLetterOptions) {
    this.#options = options;
  }

  /** Finishes a replay that a crash has interrupted. */
  async recover(): Promise<void> {
    if (this.#options.checkpoints.replayed.size > 0) await this.#removeReplayed();
  }

  /** Resolves when they are on the disk or counted as lost. */
  async add(sink: string, letters: readonly Hopeless[]): Promise<void> {
    const { file, clock, laneOf } = this.#options;
    const at = new Date(clock.now()).toISOString();
    const { count, trouble } = await file.append(letters.map((letter) => keptLetter(letter, { sink, at })));
    const lost = letters.length - count;
    this.#trouble = trouble;
    this.#lost += lost;
    const metrics = laneOf(sink)?.metrics;
    if (count > 0) metrics?.deadLettered.add(count);
    if (lost > 0) metrics?.deadLettersDropped.add(lost);
  }

  async list(): Promise<readonly DeadLetter[]> {
    const letters = await this.#waiting();
    return letters.map(({ id, at, sink, reason, origin, record }) => ({
      id,
      at,
      sink,
      reason,
      origin,
      record,
    }));
  }

  replay(ids: readonly string[] | "all"): Promise<number> {
    const done = this.#turn.then(() => this.#replay(ids));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Resolves when no replay is under way. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  troubles(): readonly unknown[] {
    if (this.#trouble === undefined) return [];
    const why = this.#trouble === "full" ? "the dead-letter file is full" : messageOf(this.#trouble);
    return [
      new Problem({
        code: "E_DEAD_LETTERS_FULL",
        message: `Cannot keep refused records: ${why}; ${this.#lost} were lost`,
        fix: "Mend what the receiver refuses and run `pillion dead-letters replay`, or give the sidecar a larger `deadLetters`",
        ...(this.#trouble === "full" ? {} : { cause: this.#trouble }),
      }),
    ];
  }

  async #replay(ids: readonly string[] | "all"): Promise<number> {
    const wanted = ids === "all" ? undefined : new Set(ids);
    const letters = (await this.#waiting()).filter(({ id }) => wanted?.has(id) ?? true);
    let queued = 0;
    for (const [sink, ofSink] of Map.groupBy(letters, (letter) => letter.sink)) {
      const lane = this.#options.laneOf(sink);
      if (lane === undefined) continue;
      for (let from = 0; from < ofSink.length; from += REPLAY_CHUNK) {
        const chunk = ofSink.slice(from, from + REPLAY_CHUNK);
        const count = await lane.replay(
          chunk.map(keptOf),
          chunk.map(({ id }) => id),
        );
        queued += count;
        if (count < chunk.length) break; // The buffer is full: the rest stays where it is.
      }
    }
    if (queued > 0) await this.#removeReplayed();
    return queued;
  }

  async #waiting(): Promise<KeptLetter[]> {
    const { file, checkpoints } = this.#options;
    const letters = await file.list();
    return letters.filter(({ id }) => !checkpoints.replayed.has(id));
  }

  /** They are in a buffer: in the file they are no longer wanted. A disk too full for that is tried again at the next replay. */
  async #removeReplayed(): Promise<void> {
    const { file, checkpoints } = this.#options;
    try {
      await file.remove(checkpoints.replayed);
      checkpoints.clearReplayed();
      this.#trouble = undefined;
    } catch (error) {
      this.#trouble = error;
    }
  }
}

function keptLetter(
  { piece, path, reason }: Hopeless,
  { sink, at }: { sink: string; at: string },
): KeptLetter {
  const { text, group, nanos, id: pieceId } = piece;
  const resend: Resend = { group, nanos, id: pieceId };
  return {
    id: crypto.getRandomValues(Buffer.alloc(ID_BYTES)).toString("hex"),
    at,
    sink,
    reason: reason.slice(0, LONGEST_REASON),
    origin: `${path}${pieceId.slice(pieceId.lastIndexOf("@"))}`,
    record: text,
    resend,
  };
}

function keptOf({ record, origin, resend }: KeptLetter): Kept {
  const { group = "", nanos = "", id = "" } = (resend ?? {}) as Partial<Resend>;
  const piece = { text: record, group, nanos, id };
  return {
    piece,
    size: Buffer.byteLength(record),
    path: origin.slice(0, Math.max(0, origin.lastIndexOf("@"))),
  };
}
