/** Carries what a container writes to its log file: named pipes that survive the engine, read at the pace of the disk. */
import { chmodSync, chownSync, closeSync, constants, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../kernel/clock.ts";
import { CriLines, type LogStream } from "./cri-lines.ts";
import type { Launcher } from "./launcher.ts";
import { AT_FDCWD, F_SETPIPE_SZ, S_IFIFO } from "./linux-constants.ts";
import { logClock } from "./log-clock.ts";
import { LogFile } from "./log-file.ts";
import { PIPE_BYTES, unreadBytes } from "./pipe-peek.ts";

/**
 * The container's user owns its pipes; other users in the container may write, as in `nginx` images whose workers open
 * /dev/stderr again. Nobody else gets at them: the folder is 0700.
 */
const FIFO_MODE = 0o622;
/** After the container's end, how often a pipe that somebody still holds is asked whether it is empty. */
export const SETTLE_MS = 20;
/**
 * A stream that always has more never gives up its turn by itself. So much of it is read in one turn of the event loop,
 * and after a burst the engine does something else for a moment: about 200 MB/s, then the container waits.
 */
const TURN_BYTES = 128 * 1024;
export const BURST_BYTES = 1024 * 1024;
export const REST_MS = 3;

export interface LogPumpOptions {
  readonly launcher: Launcher;
  readonly clock: Clock;
  /** Folder for the pipes, 0700. */
  readonly folder: string;
  /** Container id: names the pipes `ID.stdout` and `ID.stderr`. */
  readonly id: string;
  readonly logPath: string;
  /** The container's user and group on the engine's side. */
  readonly uid: number;
  readonly gid: number;
  /** Gets what was read, for those who are attached; the next is read when its promise resolves. */
  readonly onOutput?: (stream: LogStream, chunk: Uint8Array) => Promise<unknown> | undefined;
  /** Told once per outage when lines cannot be written (full disk); the container goes on, the lines are lost. */
  readonly onLost?: (error: unknown) => void;
}

export interface LogPump {
  /** Descriptors for the container, open for reading and writing: it never gets SIGPIPE, with or without the engine. */
  readonly stdout: number;
  readonly stderr: number;
  /** The container holds its descriptors: closes ours and starts to read. */
  started(): void;
  /** The container has ended: resolves when everything it wrote is in the log file, and removes the pipes. Never rejects. */
  drained(): Promise<void>;
  /** The container did not start: removes everything. */
  abandon(): void;
}

interface Pipe {
  readonly path: string;
  readonly readFd: number;
  readonly writeFd: number;
}

export function openLogPump(options: LogPumpOptions): LogPump {
  const log = new LogFile({ path: options.logPath });
  const pipes: Pipe[] = [];
  const remove = (): void => {
    for (const { readFd, path } of pipes) {
      closeSync(readFd);
      rmSync(path, { force: true });
    }
    log.close();
  };
  try {
    const stdout = openPipe(options, "stdout");
    pipes.push(stdout);
    const stderr = openPipe(options, "stderr");
    pipes.push(stderr);
    const writer = lineWriter(log, options);
    let readers: readonly PipeReader[] = [];
    return {
      stdout: stdout.writeFd,
      stderr: stderr.writeFd,
      started() {
        for (const { writeFd } of pipes) closeSync(writeFd);
        readers = [
          new PipeReader({ ...options, fd: stdout.readFd, stream: "stdout", writer }),
          new PipeReader({ ...options, fd: stderr.readFd, stream: "stderr", writer }),
        ];
      },
      async drained() {
        await Promise.all(readers.map((reader) => reader.drained(options)));
        try {
          remove();
        } catch (error) {
          // Closing may fail where writing did (a network file system); the container has ended all the same.
          writer.onLost(error);
        }
      },
      abandon() {
        for (const { writeFd } of pipes) closeSync(writeFd);
        remove();
      },
    };
  } catch (error) {
    for (const { writeFd } of pipes) closeSync(writeFd);
    remove();
    throw error;
  }
}

/** A named pipe that belongs to the container's user. */
export function makeLogPipe({ launcher, uid, gid }: LogPumpOptions, path: string): void {
  launcher.call("mknodat", [AT_FDCWD, path, S_IFIFO | FIFO_MODE, 0]);
  // The umask took bits away.
  chmodSync(path, FIFO_MODE);
  if (uid !== 0 || gid !== 0) chownSync(path, uid, gid);
}

function openPipe(options: LogPumpOptions, stream: LogStream): Pipe {
  const { launcher, folder, id } = options;
  const path = join(folder, `${id}.${stream}`);
  makeLogPipe(options, path);
  // The reading end first, without waiting for a writer; then the writing end does not wait for a reader.
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(path, constants.O_RDWR);
  launcher.tryCall("fcntl", [writeFd, F_SETPIPE_SZ, PIPE_BYTES]);
  return { path, readFd, writeFd };
}

export interface LineWriter {
  readonly rest: () => Promise<void>;
  readonly onLost: (error: unknown) => void;
  readonly write: (lines: Uint8Array) => void;
  readonly time: () => string;
}

/** Shared by the streams of a container. */
export function lineWriter(log: LogFile, { clock, onLost }: LogPumpOptions): LineWriter {
  let isLosing = false;
  return {
    time: logClock(clock),
    onLost: (error) => onLost?.(error),
    rest: () => new Promise((resolve) => clock.schedule(REST_MS, resolve)),
    write(lines) {
      try {
        log.append(lines, clock.now());
        isLosing = false;
      } catch (error) {
        if (!isLosing) onLost?.(error);
        isLosing = true;
      }
    },
  };
}

/** What is used of a stream's reader. */
interface ChunkReader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(): Promise<unknown>;
}

interface PipeSource extends Pick<LogPumpOptions, "onOutput"> {
  readonly fd: number;
  readonly stream: LogStream;
  readonly writer: LineWriter;
}

/** Reads one pipe until its last writer is gone. Memory stays at one chunk: nothing is read before the last was written. */
class PipeReader {
  readonly #fd: number;
  readonly #reader: ChunkReader;
  readonly #ended: Promise<void>;
  #chunks = 0;
  #isOver = false;

  constructor(source: PipeSource) {
    this.#fd = source.fd;
    this.#reader = Bun.file(source.fd).stream().getReader();
    this.#ended = this.#read(source);
  }

  async #read({ stream, writer, onOutput }: PipeSource): Promise<void> {
    const { time, rest, onLost } = writer;
    const lines = new CriLines(stream, writer.write);
    let turn = 0;
    let burst = 0;
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done || value === undefined) break;
        this.#chunks += 1;
        lines.push(value, time());
        await onOutput?.(stream, value);
        turn += value.length;
        burst += value.length;
        if (burst >= BURST_BYTES) await rest();
        else if (turn >= TURN_BYTES) await new Promise(setImmediate);
        if (turn >= TURN_BYTES) turn = 0;
        if (burst >= BURST_BYTES) burst = 0;
      }
      lines.end(time());
    } catch (error) {
      onLost(error);
    } finally {
      this.#isOver = true;
    }
  }

  /**
   * All writers are gone with the container's process 1, so the pipe ends by itself - unless a descriptor was sent out of
   * the container through a socket. Then it is over once it stays empty.
   */
  async drained({ launcher, clock }: { launcher: Launcher; clock: Clock }): Promise<void> {
    let seen = -1;
    const settle = (): void => {
      if (this.#isOver) return;
      const isEmpty = unreadBytes(launcher, this.#fd) === 0;
      if (isEmpty && seen === this.#chunks) {
        this.#reader.cancel().catch(() => undefined);
        return;
      }
      seen = this.#chunks;
      clock.schedule(SETTLE_MS, settle);
    };
    const stop = clock.schedule(SETTLE_MS, settle);
    await this.#ended;
    stop();
  }
}
