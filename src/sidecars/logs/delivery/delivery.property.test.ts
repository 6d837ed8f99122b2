/** Whatever happens, in whatever order: no record is lost, and a kill costs no more than the batch that was on its way. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { Outcome, Piece, Refusal } from "../sinks/sink.ts";
import {
  ACCEPTED,
  DOWN,
  elapse,
  leftBehind,
  NumberedFile,
  openWorld,
  quiet,
  ScriptedSink,
  testFolder,
  turn,
  type World,
} from "./delivery.test-support.ts";

const RUNS = process.env["PILLION_SOAK"] === "1" ? 5_000 : 100;
const KEYS = ["a", "b", "c"] as const;
const BATCH = { maxBytes: 200, maxRecords: 12, maxWaitMs: 50 };
const LIMITS = { memoryBytes: 6_000, bufferBytes: 12_000, deadLetterBytes: 2 ** 20 };
/** Records of one lot and what surrounds them may be there beyond the limit. */
const LOT = 20;
const LOT_COST = LOT * 300 + 500;

type Mode = "up" | "down" | "open" | "flaky" | "small";

type Step =
  | { readonly do: "offer"; readonly file: number; readonly count: number }
  | { readonly do: "mode"; readonly mode: Mode }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "kill"; readonly turns: number; readonly tear: number }
  | { readonly do: "answer"; readonly mode: Mode }
  | { readonly do: "restart" | "replay" | "keep" | "hurry" };

const offer = fc.record({
  do: fc.constant("offer" as const),
  file: fc.nat(KEYS.length - 1),
  count: fc.integer({ min: 0, max: LOT }),
});
const advance = fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 40_000 }) });
const modes = (...all: Mode[]) =>
  fc.record({ do: fc.constant("mode" as const), mode: fc.constantFrom(...all) });
const answers = (...all: Mode[]) =>
  fc.record({ do: fc.constant("answer" as const), mode: fc.constantFrom(...all) });
const kills = (tear: fc.Arbitrary<number>) =>
  fc.record({ do: fc.constant("kill" as const), turns: fc.nat(4), tear });
const others = (...all: ("restart" | "replay" | "keep" | "hurry")[]) =>
  fc.record({ do: fc.constantFrom(...all) });

/** A bit of everything. */
const anything: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: offer },
  { weight: 4, arbitrary: modes("up", "up", "down", "open", "flaky", "small") },
  { weight: 4, arbitrary: answers("up", "down", "flaky", "small") },
  { weight: 6, arbitrary: advance },
  { weight: 3, arbitrary: kills(fc.oneof(fc.constant(0), fc.nat(60))) },
  { weight: 3, arbitrary: others("restart", "replay", "keep", "hurry") },
);

/** Full buffers and kills, and a journal that always tells the truth: duplicates are counted exactly. */
const outages: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: offer },
  { weight: 3, arbitrary: modes("up", "down", "down", "open", "flaky") },
  { weight: 3, arbitrary: answers("up", "down") },
  { weight: 6, arbitrary: advance },
  { weight: 3, arbitrary: kills(fc.constant(0)) },
  { weight: 1, arbitrary: others("restart", "keep") },
);

function numberOf({ text }: Piece): number {
  return Number(text.slice(2));
}

/** Refused by the item, refused with its whole batch, too large for any request: each for ever, by number. */
const isHopeless = (piece: Piece) => numberOf(piece) % 17 === 0;
const isPoison = (piece: Piece) => numberOf(piece) % 29 === 0;
const isHuge = (piece: Piece) => numberOf(piece) % 41 === 0;

/** A filter takes these out. */
const isDropped = (number: number) => number % 7 === 3 || number % 31 > 25;

/** Files, a receiver and a life after the other. */
class Story {
  readonly #parent: string;
  readonly #files = KEYS.map((key) => new NumberedFile(key));
  readonly #delivered = new Map<string, number>();
  /** Records that were delivered a second time, and how many of those were allowed to be. */
  #twice = 0;
  #allowed = 0;
  /** Records that were refused, for now or for good: when they come again they come late. */
  readonly #outOfOrder = new Set<string>();
  /** Newest delivered record of each file. */
  readonly #newest = new Map<string, number>();
  /** What the receiver saw that must not be; it cannot throw, that would be one more failure to retry. */
  readonly #wrongs: string[] = [];
  #mode: Mode = "up";
  #flakiness = 0;
  /** A request without an answer. */
  #open: readonly Piece[] | undefined;
  #world: World | undefined;
  readonly #worlds: World[] = [];
  #sink = new ScriptedSink(() => DOWN);
  #pendingOffer: Promise<void> | undefined;

  constructor(parent: string) {
    this.#parent = parent;
  }

  /** Those that were killed live on in the folders that they had; they end here. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#worlds.map(({ delivery }) => delivery.stop()));
  }

  async begin(folder: string): Promise<void> {
    const sink = new ScriptedSink((batch) => this.#receive(sink, batch), BATCH);
    this.#sink = sink;
    this.#world = await openWorld({ folder, sinks: [sink], limits: LIMITS });
    this.#worlds.push(this.#world);
    this.#pendingOffer = undefined;
    this.#allowed += this.#world.counts.duplicated;
    const { checkpoints } = this.#world.delivery;
    for (const file of this.#files) {
      checkpoints.remember(file.origin.key, { inode: 1 });
      const { offset } = checkpoints.get(file.origin.key) ?? { offset: -1 };
      expect(offset % 10).toBe(0);
      expect(offset).toBeLessThanOrEqual(file.read * 10);
      file.read = offset / 10;
    }
  }

  get world(): World {
    if (this.#world === undefined) throw new Error("not begun");
    return this.#world;
  }

  async take(step: Step): Promise<void> {
    if (step.do === "offer") await this.#offer(step);
    else if (step.do === "mode") this.#mode = step.mode;
    else if (step.do === "answer") this.#answer(step.mode);
    else if (step.do === "advance") this.world.clock.advance(step.ms);
    else if (step.do === "kill") return this.#kill(step.turns, step.tear);
    else if (step.do === "restart") return this.#restart();
    else if (step.do === "keep") await this.#keep();
    else if (step.do === "replay") await this.#replay();
    else this.world.delivery.hurry();
    await turn();
    expect(this.#wrongs).toEqual([]);
    expect(this.world.delivery.memoryCost).toBeLessThanOrEqual(LIMITS.memoryBytes + LOT_COST);
  }

  /** The receiver is well again and everything comes out. */
  async end(): Promise<void> {
    this.#mode = "up";
    this.#answer("up");
    await elapse(this.world, this.world.delivery.drain(false));
    expect(this.world.delivery.undelivered()).toEqual({ records: 0, bytes: 0, keptBytes: 0 });
    const letters = await this.world.delivery.deadLetters.list();
    const safe = new Set([...this.#delivered.keys(), ...letters.map(({ record }) => record)]);
    for (const file of this.#files) {
      for (let number = 1; number <= file.read; number += 1) {
        const text = `${file.origin.key}:${number}`;
        if (!isDropped(number)) expect([text, safe.has(text)]).toEqual([text, true]);
      }
      const { offset } = this.world.delivery.checkpoints.get(file.origin.key) ?? { offset: -1 };
      expect([file.origin.key, offset]).toEqual([file.origin.key, file.read * 10]);
    }
    expect(this.world.delivery.troubles()).toEqual([]);
    expect(this.#wrongs).toEqual([]);
    expect(this.#twice).toBeLessThanOrEqual(this.#allowed);
    await this.world.delivery.stop();
    expect(this.world.clock.pending).toBe(0);
  }

  async #offer({ file: at, count }: Step & { do: "offer" }): Promise<void> {
    // As a reader: nothing is read while there is no room.
    if (this.#pendingOffer !== undefined) return;
    const file = this.#files[at];
    if (file === undefined) return;
    const { delivery } = this.world;
    const offered = delivery.offer(file.lot(count, isDropped)).then(() => {
      if (this.#pendingOffer === offered) this.#pendingOffer = undefined;
      return undefined;
    });
    this.#pendingOffer = offered;
    await turn();
  }

  #answer(how: Mode): void {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    const before = this.#mode;
    this.#mode = how;
    this.#sink.answer(this.#receive(this.#sink, open) ?? DOWN);
    this.#mode = before;
  }

  #receive(sink: ScriptedSink, batch: readonly Piece[]): Outcome | undefined {
    if (sink !== this.#sink) return new Promise(() => undefined) as never;
    if (batch.length > BATCH.maxRecords) this.#wrongs.push(`a batch of ${batch.length}`);
    if (this.#open !== undefined) this.#wrongs.push("a call while another was open");
    if (this.#mode === "down") return DOWN;
    if (this.#mode === "open") {
      this.#open = batch;
      return undefined;
    }
    if (this.#mode === "small" && batch.length > 3) return { kind: "too-large", reason: "413" };
    if (batch.some(isHuge)) return { kind: "too-large", reason: "413" };
    if (batch.some(isPoison)) return { kind: "refused", reason: "400" };
    const refusals: Refusal[] = [];
    for (const [index, piece] of batch.entries()) {
      this.#flakiness = (this.#flakiness * 31 + 7) % 101;
      if (isHopeless(piece)) refusals.push({ index, isRetryable: false, reason: "mapping" });
      else if (this.#mode === "flaky" && this.#flakiness % 3 === 0) {
        refusals.push({ index, isRetryable: true, reason: "429" });
        this.#outOfOrder.add(piece.text);
      } else this.#deliver(piece);
    }
    return refusals.length === 0 ? ACCEPTED : { kind: "answered", refusals };
  }

  #deliver({ text }: Piece): void {
    const [key = "", number] = text.split(":");
    if (!this.#outOfOrder.has(text) && !this.#delivered.has(text)) {
      // Oldest first, except what was refused before.
      const newest = this.#newest.get(key) ?? 0;
      if (Number(number) < newest) this.#wrongs.push(`${text} came after ${newest}`);
      this.#newest.set(key, Number(number));
    }
    const times = this.#delivered.get(text) ?? 0;
    if (times > 0) this.#twice += 1;
    this.#delivered.set(text, times + 1);
  }

  async #keep(): Promise<void> {
    await elapse(this.world, this.world.delivery.drain(true));
    // A request that gets no answer is given up; whatever it carried may arrive all the same.
    this.#allowed += this.#open?.length ?? 0;
  }

  async #replay(): Promise<void> {
    const replayed = this.world.delivery.deadLetters.replay("all");
    if (this.#open !== undefined) this.#answer("down");
    await replayed;
  }

  async #restart(): Promise<void> {
    const { delivery, folder } = this.world;
    const stopped = delivery.stop();
    await quiet(this.world);
    this.world.clock.advance(1_000);
    await stopped;
    this.#open = undefined;
    await this.begin(folder);
  }

  async #kill(turns: number, tear: number): Promise<void> {
    for (let i = 0; i < turns; i += 1) await turn();
    const copy = leftBehind(this.world.folder, this.#parent);
    if (tear > 0) {
      this.#tear(copy, tear);
      this.#allowed += 2 * BATCH.maxRecords; // The line that was torn may be the one that would have told.
    }
    this.#open = undefined;
    await this.begin(copy);
  }

  /** The journal's last write was cut short, unless something else relied upon it. */
  #tear(folder: string, bytes: number): void {
    const journal = join(folder, "checkpoints");
    const lines = readFileSync(journal, "latin1").split("\n").slice(0, -1);
    const last = lines.at(-1) ?? "";
    if (lines.length > 1 && !isReliedUpon(last, lines.slice(0, -1))) {
      truncateSync(journal, statSync(journal).size - Math.min(bytes, last.length + 1));
    }
  }
}

/** It was synced and more was done because of it: dead letters have left their file, or records the part of a buffer they were in. */
function isReliedUpon(line: string, before: readonly string[]): boolean {
  if (line.includes('"d":')) return true;
  return ["b", "r"].some((part) => {
    const tail = tailIn(line, part);
    return (
      tail !== undefined &&
      !tail.endsWith(",0") &&
      tail !== before.map((one) => tailIn(one, part)).findLast(Boolean)
    );
  });
}

/** Segment and offset up to which a line says that a part of the buffer holds records. */
function tailIn(line: string, part: string): string | undefined {
  return new RegExp(`"${part}":\\[\\d+,\\d+,\\d+,(\\d+,\\d+)\\]`).exec(line)?.[1];
}

async function tell(step: fc.Arbitrary<Step>): Promise<void> {
  const stories = fc.asyncProperty(
    fc.array(step, { minLength: 1, maxLength: 80, size: "max" }),
    async (steps) => {
      using folder = testFolder();
      await using story = new Story(folder.path);
      await story.begin(join(folder.path, "state"));
      for (const one of steps) await story.take(one);
      await story.end();
    },
  );
  const seed = process.env["PILLION_SEED"];
  // Shrinking a story that never ends takes hours: it is for those who ask for it.
  const endOnFailure = process.env["PILLION_SHRINK"] !== "1";
  await fc.assert(stories, {
    numRuns: RUNS,
    endOnFailure,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  });
}

test("no record is lost, whatever receivers, clocks and kills do", () => tell(anything), RUNS * 2_000);

test(
  "a kill costs what the next start says, whatever is in memory and on disk",
  () => tell(outages),
  RUNS * 2_000,
);
