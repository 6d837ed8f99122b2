/** A source under test: real files in a folder of its own, time in the test's hand, every line in the order it came. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeHost } from "../../../testing/fake-host.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import type { Checkpoint, CheckpointStore } from "../delivery/delivery.ts";
import type { Chunk, ChunkSource } from "./chunk.ts";
import { type FilesOptions, openFiles } from "./open-files.ts";

/** Checkpoints in memory; `deliver` moves them. */
export class MemoryCheckpoints implements CheckpointStore {
  readonly kept = new Map<string, Checkpoint>();
  readonly #listeners: ((key: string, offset: number) => void)[] = [];

  copy(): MemoryCheckpoints {
    const copy = new MemoryCheckpoints();
    for (const [key, checkpoint] of this.kept) copy.kept.set(key, checkpoint);
    return copy;
  }

  all(): Iterable<Checkpoint> {
    return [...this.kept.values()];
  }

  get(key: string): Checkpoint | undefined {
    return this.kept.get(key);
  }

  remember(key: string, identity: unknown, offset = 0): void {
    // What is kept goes through JSON, as on disk.
    const json: unknown = JSON.parse(JSON.stringify(identity));
    this.kept.set(key, { key, offset: this.kept.get(key)?.offset ?? offset, identity: json });
  }

  reset(key: string, identity: unknown): void {
    this.kept.set(key, { key, offset: 0, identity });
  }

  forget(key: string): void {
    this.kept.delete(key);
  }

  onMoved(listener: (key: string, offset: number) => void): void {
    this.#listeners.push(listener);
  }

  troubles(): readonly unknown[] {
    return [];
  }

  deliver(key: string, offset: number): void {
    const known = this.kept.get(key);
    if (known === undefined) throw new Error(`Nothing is remembered of ${key}`);
    this.kept.set(key, { ...known, offset: Math.max(known.offset, offset) });
    for (const listener of this.#listeners) listener(key, offset);
  }
}

export interface ReadingOptions extends Partial<Omit<FilesOptions, "host" | "checkpoints" | "patterns">> {
  readonly patterns: readonly string[];
  readonly checkpoints?: MemoryCheckpoints;
  /** False: what is read counts as not delivered. @default {true} */
  readonly isDelivering?: boolean;
}

/** How far the clock moves in one step. */
const STEP_MS = 100;
/** Real time that a test waits for something to come true. */
const PATIENCE_MS = 5_000;

export class Reading {
  readonly clock = new ManualClock();
  readonly host = new FakeHost({ clock: this.clock });
  readonly checkpoints: MemoryCheckpoints;
  readonly source: ChunkSource;
  readonly chunks: {
    path: string;
    key: string;
    start: number;
    length: number;
    isCut: boolean;
    isLast: boolean;
  }[] = [];
  /** Whole lines without their ends; parts where a chunk ended within a line. */
  readonly lines: string[] = [];
  isOver = false;
  isDelivering: boolean;

  constructor({ checkpoints, isDelivering = true, ...options }: ReadingOptions) {
    this.host.canWatch = false;
    this.checkpoints = checkpoints ?? new MemoryCheckpoints();
    this.isDelivering = isDelivering;
    this.source = openFiles({
      exclude: [],
      readFrom: "beginning",
      maxLineBytes: 256 * 1024,
      pace: { scanMs: 1_000 },
      ...options,
      host: this.host,
      checkpoints: this.checkpoints,
    });
  }

  /** Lets time pass and takes what comes. */
  async pass(ms: number): Promise<this> {
    await this.#turns();
    await this.pull();
    for (let passed = 0; passed < ms && !this.isOver; passed += STEP_MS) {
      this.clock.advance(STEP_MS);
      await this.#turns();
      await this.pull();
    }
    return this;
  }

  /** Lets time pass until the claim holds. */
  async until(isSo: () => boolean): Promise<this> {
    const end = performance.now() + PATIENCE_MS;
    while (!isSo()) {
      if (performance.now() > end)
        throw new Error(`It did not come true; lines: ${JSON.stringify(this.lines.slice(-5))}`);
      await this.pass(STEP_MS);
    }
    return this;
  }

  /** Takes what is there right now. */
  async pull(): Promise<void> {
    while (!this.isOver) {
      const chunk = await this.source.next(0);
      if (chunk === "idle") return;
      if (chunk === undefined) this.isOver = true;
      else this.#take(chunk);
    }
  }

  /** Ends it, and returns all lines. */
  async finish(): Promise<readonly string[]> {
    this.source.finish();
    await this.until(() => this.isOver);
    this.close();
    return this.lines;
  }

  /** Ends it as SIGKILL would; returns what is on disk. */
  kill(): MemoryCheckpoints {
    const left = this.checkpoints.copy();
    this.close();
    return left;
  }

  close(): void {
    this.source.close();
    this.host[Symbol.dispose]();
  }

  #take({ origin, start, bytes, isCut, isLast }: Chunk): void {
    this.chunks.push({ path: origin.path, key: origin.key, start, length: bytes.length, isCut, isLast });
    if (bytes.length > 0) {
      const text = Buffer.from(bytes).toString("utf8");
      this.lines.push(...(text.endsWith("\n") ? text.slice(0, -1) : text).split("\n"));
      if (this.isDelivering) this.checkpoints.deliver(origin.key, start + bytes.length);
    }
  }

  async #turns(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A folder that is gone after the test. */
export function temporaryFolder(): { path: string; at: (name: string) => string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "pillion-files-"));
  return {
    path,
    at(name) {
      const full = join(path, name);
      mkdirSync(join(full, ".."), { recursive: true });
      return full;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
