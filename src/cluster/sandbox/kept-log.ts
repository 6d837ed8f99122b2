/**
 * Carries what a container writes to its log file so that a killed engine loses no line and the next one writes none twice.
 *
 * Every batch of lines goes through a second pipe, the stage, which outlives the engine like the first: into the stage, into
 * the file, out of the stage. What is in the stage when the next engine looks is exactly what may be in the file in part; the
 * journal says where in the file that part begins.
 */
import { closeSync, constants, existsSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { CriLines, MAX_TEXT_BYTES, type LogStream } from "./cri-lines.ts";
import type { FdStore } from "./fd-store.ts";
import * as linux from "./linux-constants.ts";
import { logClock } from "./log-clock.ts";
import { LogFile } from "./log-file.ts";
import {
  BURST_BYTES,
  makeLogPipe,
  REST_MS,
  SETTLE_MS,
  type LogPump,
  type LogPumpOptions,
} from "./log-pump.ts";
import { growPipe, type PipePeek, unreadBytes } from "./pipe-peek.ts";
import type { Readiness } from "./readiness.ts";

const STREAMS = ["stdout", "stderr"] as const;
const NEWLINE = 10;
const JOURNAL_BYTES = 16;

/** What the logs of all kept containers share. */
export interface KeptLogTools {
  readonly readiness: Readiness;
  readonly peek: PipePeek;
}

export interface KeptLogOptions extends LogPumpOptions {
  readonly tools: KeptLogTools;
  /** Holds the pipes when the engine is gone; without, lines of a container that ends meanwhile are lost. */
  readonly store: FdStore | undefined;
}

interface KeptStream {
  readonly name: LogStream;
  /** Reading end of the container's pipe. */
  readonly fifo: number;
  readonly stage: number;
  /** Longest piece of a line that may wait in the pipe for its end. */
  readonly limit: number;
  readonly lines: CriLines;
  isOver: boolean;
}

/** The log of a container that is about to start. Throws what the file system says. */
export function openKeptLog(options: KeptLogOptions): LogPump {
  for (const path of pipePaths(options)) makeLogPipe(options, path);
  return new KeptLog(options, true);
}

/** The log of a container that an earlier engine started: what was under way is brought to its end. */
export function adoptKeptLog(options: KeptLogOptions): LogPump {
  if (pipePaths(options).every((path) => existsSync(path))) return new KeptLog(options, false);
  // Pipes are removed when all is in the log file: that engine was killed while it did so.
  removeFiles(options);
  return { stdout: -1, stderr: -1, started() {}, drained: () => Promise.resolve(), abandon() {} };
}

function removeFiles(options: KeptLogOptions): void {
  for (const path of [...pipePaths(options), journalPath(options)]) rmSync(path, { force: true });
}

function journalPath({ folder, id }: KeptLogOptions): string {
  return join(folder, `${id}.journal`);
}

function pipePaths({ folder, id }: KeptLogOptions): string[] {
  return STREAMS.flatMap((stream) => [
    join(folder, `${id}.${stream}`),
    join(folder, `${id}.${stream}.stage`),
  ]);
}

class KeptLog implements LogPump {
  readonly stdout: number;
  readonly stderr: number;
  readonly #options: KeptLogOptions;
  readonly #log: LogFile;
  readonly #journal: number;
  readonly #streams: readonly KeptStream[];
  readonly #time: () => string;
  /** Those who are attached and behind. */
  #waits: Promise<unknown>[] = [];
  /** Lines of the present batch. */
  #rendered: Uint8Array[] = [];
  #stopWatching: (() => void)[] = [];
  #pumping: Promise<void> | undefined;
  #again = false;
  #isEnding = false;
  #isLosing = false;

  constructor(options: KeptLogOptions, isNew: boolean) {
    const { folder, id, logPath, clock } = options;
    this.#options = options;
    this.#time = logClock(clock);
    this.#log = new LogFile({ path: logPath });
    this.#journal = openSync(journalPath(options), constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#streams = STREAMS.map((name) => this.#openStream(name));
    const open = (name: LogStream) =>
      isNew ? openSync(join(folder, `${id}.${name}`), constants.O_RDWR) : -1;
    this.stdout = open("stdout");
    this.stderr = open("stderr");
    if (!isNew) this.#finishBatch();
  }

  #openStream(name: LogStream): KeptStream {
    const { launcher, folder, id } = this.#options;
    const stage = openSync(join(folder, `${id}.${name}.stage`), constants.O_RDWR | constants.O_NONBLOCK);
    const fifo = openSync(join(folder, `${id}.${name}`), constants.O_RDONLY | constants.O_NONBLOCK);
    // Everything that is in the one must find room in the other.
    const size = growPipe(launcher, fifo, growPipe(launcher, stage));
    return {
      name,
      fifo,
      stage,
      limit: Math.min(MAX_TEXT_BYTES, size / 2),
      lines: new CriLines(name, (bytes) => this.#rendered.push(new Uint8Array(bytes))),
      isOver: false,
    };
  }

  started(): void {
    for (const fd of [this.stdout, this.stderr]) if (fd >= 0) closeSync(fd);
    const { store, id, tools } = this.#options;
    store?.hold(
      id,
      this.#streams.flatMap(({ fifo, stage }) => [fifo, stage]),
    );
    this.#stopWatching = this.#streams.map(({ fifo }) => tools.readiness.watch(fifo, () => this.#wake()));
    this.#wake();
  }

  async drained(): Promise<void> {
    this.#isEnding = true;
    await this.#pumping;
    try {
      await this.#drain();
      this.#close();
    } catch (error) {
      // Closing may fail where writing did (a network file system); the container has ended all the same.
      this.#options.onLost?.(error);
    }
  }

  abandon(): void {
    for (const fd of [this.stdout, this.stderr]) closeSync(fd);
    this.#close();
  }

  #close(): void {
    for (const stop of this.#stopWatching) stop();
    this.#options.store?.drop(this.#options.id);
    for (const { fifo, stage } of this.#streams) {
      closeSync(fifo);
      closeSync(stage);
    }
    closeSync(this.#journal);
    removeFiles(this.#options);
    this.#log.close();
  }

  #wake(): void {
    this.#again = true;
    if (this.#isEnding) return;
    this.#pumping ??= this.#pump().finally(() => (this.#pumping = undefined));
  }

  /** Until nothing is there to move. One batch of each stream in a turn of the event loop; a rest after a burst. */
  async #pump(): Promise<void> {
    let burst = 0;
    while (this.#again && !this.#isEnding) {
      this.#again = false;
      const moved = this.#moveAll(false);
      if (moved === 0) continue;
      this.#again = true;
      burst += moved;
      await Promise.all(this.#waits.splice(0));
      await (burst < BURST_BYTES ? new Promise(setImmediate) : this.#rest(REST_MS));
      if (burst >= BURST_BYTES) burst = 0;
    }
  }

  /** The container has ended. A descriptor that was sent out of it may keep a pipe open: it is over once it stays empty. */
  async #drain(): Promise<void> {
    let isQuiet = false;
    for (;;) {
      const moved = this.#moveAll(true);
      if (this.#streams.every(({ isOver }) => isOver)) return;
      if (moved === 0 && isQuiet) return;
      isQuiet = moved === 0;
      await Promise.all(this.#waits.splice(0));
      await (isQuiet ? this.#rest(SETTLE_MS) : new Promise(setImmediate));
    }
  }

  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.schedule(ms, resolve));
  }

  #moveAll(isFinal: boolean): number {
    let moved = 0;
    for (const stream of this.#streams) {
      try {
        moved += this.#move(stream, isFinal);
      } catch (error) {
        this.#lose(error);
      }
    }
    return moved;
  }

  /** One batch of whole lines; the bytes that were moved. With `isFinal`, what is left without a newline is a line too. */
  #move(stream: KeptStream, isFinal: boolean): number {
    const { tools } = this.#options;
    const seen = tools.peek.peek(stream.fifo);
    if (typeof seen === "string") {
      stream.isOver = seen === "over";
      return 0;
    }
    let count = wholeLines(seen, stream.limit);
    const isCutOff = count === 0 && this.#isCutOff(stream.fifo);
    const isLast = count === 0 && isFinal && !isCutOff;
    if (isLast || isCutOff) count = seen.length;
    if (count === 0) return 0;
    let lines = this.#render(stream, seen.subarray(0, count), isLast);
    this.#log.makeRoom(lines.length, this.#options.clock.now());
    this.#writeJournal(this.#log.size, count);
    const staged = this.#splice(stream, count);
    if (staged < count) lines = this.#render(stream, seen.subarray(0, staged), isLast);
    this.#append(lines);
    discard(stream.stage, staged);
    const wait = this.#options.onOutput?.(stream.name, seen.slice(0, staged));
    if (wait !== undefined) this.#waits.push(wait);
    return staged;
  }

  /** More is in the pipe than can be looked at. Asked first and looked at again, since it may grow meanwhile. */
  #isCutOff(fifo: number): boolean {
    const unread = unreadBytes(this.#options.launcher, fifo);
    const seen = this.#options.tools.peek.peek(fifo);
    return typeof seen !== "string" && seen.length < unread;
  }

  /** The batch that was under way when the engine before was killed. */
  #finishBatch(): void {
    const { tools } = this.#options;
    for (const stream of this.#streams) {
      const staged = unreadBytes(this.#options.launcher, stream.stage);
      if (staged === 0) continue;
      const [size, count] = this.#readJournal();
      this.#log.cutTo(size);
      if (staged < count) this.#splice(stream, count - staged);
      const seen = tools.peek.peek(stream.stage);
      if (typeof seen === "string") continue;
      this.#append(this.#render(stream, seen, false));
      discard(stream.stage, seen.length);
    }
  }

  #splice({ fifo, stage }: KeptStream, bytes: number): number {
    const { launcher } = this.#options;
    let moved = 0;
    while (moved < bytes) {
      const count = launcher.tryCall("splice", [fifo, 0, stage, 0, bytes - moved, linux.SPLICE_F_NONBLOCK]);
      if (count <= 0) break;
      moved += count;
    }
    return moved;
  }

  #render({ lines }: KeptStream, bytes: Uint8Array, isLast: boolean): Uint8Array {
    this.#rendered = [];
    const time = this.#time();
    lines.push(bytes, time);
    if (isLast) lines.end(time);
    else lines.cut(time);
    return this.#rendered.length === 1 ? (this.#rendered[0] ?? bytes) : Buffer.concat(this.#rendered);
  }

  #append(lines: Uint8Array): void {
    try {
      this.#log.append(lines, this.#options.clock.now());
      this.#isLosing = false;
    } catch (error) {
      this.#lose(error);
    }
  }

  #lose(error: unknown): void {
    if (!this.#isLosing) this.#options.onLost?.(error);
    this.#isLosing = true;
  }

  #writeJournal(size: number, count: number): void {
    writeSync(this.#journal, new Uint8Array(Float64Array.of(size, count).buffer), 0, JOURNAL_BYTES, 0);
  }

  #readJournal(): [size: number, count: number] {
    const numbers = new Float64Array(2);
    readSync(this.#journal, new Uint8Array(numbers.buffer), 0, JOURNAL_BYTES, 0);
    return [numbers[0] ?? 0, numbers[1] ?? 0];
  }
}

/** How many of the bytes can go: all up to the last newline, and of a longer rest what fills lines of `limit`. */
function wholeLines(bytes: Uint8Array, limit: number): number {
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  const rest = bytes.length - end;
  return rest <= limit ? end : end + Math.floor((rest - 1) / limit) * limit;
}

/** In one call: half of a batch must never be left. */
function discard(fd: number, bytes: number): void {
  if (bytes > 0) readSync(fd, new Uint8Array(bytes), 0, bytes, null);
}
