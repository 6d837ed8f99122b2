/** What the runtime's own modules cannot do with pipes: move their bytes into a file in one step, look ahead, ask how they are. */
import { closeSync, readSync } from "node:fs";
import { ptr } from "bun:ffi";
import { cString, openLibc } from "./libc.ts";

const SPLICE_F_NONBLOCK = 2;
const O_NONBLOCK = 0o4_000;
const O_CLOEXEC = 0o2_000_000;
const F_SETPIPE_SZ = 1031;
const POLLIN = 1;
const POLLHUP = 0x10;
/** `struct pollfd`: descriptor, wanted events, what there is. */
const POLLFD_BYTES = 8;
const REVENTS_AT = 6;

let loaded: ReturnType<typeof load> | undefined;

/** "data": there is some. "idle": none yet. "unwritten": none, and nobody has it open for writing. */
export type PipeState = "data" | "idle" | "unwritten";

/** Whether pipes can be handled here at all. */
export function knowsPipes(): boolean {
  return calls() !== null;
}

/** Makes a FIFO with exactly this mode. False when it could not be made, or something is there already. */
export function makeFifo(path: string, mode: number): boolean {
  const name = cString(path);
  const libc = calls();
  // `mkfifo` leaves out what the process's umask says.
  return libc !== null && libc.mkfifo(ptr(name), mode) === 0 && libc.chmod(ptr(name), mode) === 0;
}

const position = new BigInt64Array(new ArrayBuffer(8));

/**
 * Moves up to `length` bytes out of a pipe and into a file at `at`, as one step: a process that is killed has moved them or
 * has not (splice(2)). The number of bytes; 0 when nobody writes to the pipe; -1 when there is nothing, or it cannot be done.
 * The file must not be open for appending.
 */
export function moveFromPipe(
  pipe: number,
  { file, at, length }: { file: number; at: number; length: number },
): number {
  position[0] = BigInt(at);
  return Number(calls()?.splice(pipe, null, file, ptr(position), length, SPLICE_F_NONBLOCK) ?? -1);
}

const asked = Buffer.from(new ArrayBuffer(POLLFD_BYTES));

export function pipeState(pipe: number): PipeState {
  asked.writeInt32LE(pipe, 0);
  asked.writeInt16LE(POLLIN, 4);
  asked.writeInt16LE(0, REVENTS_AT);
  calls()?.poll(ptr(asked), 1, 0);
  const events = asked.readInt16LE(REVENTS_AT);
  if ((events & POLLIN) !== 0) return "data";
  return (events & POLLHUP) === 0 ? "idle" : "unwritten";
}

/** Lets a pipe hold this much, where the system allows it. */
export function growPipe(pipe: number, bytes: number): void {
  calls()?.fcntl(pipe, F_SETPIPE_SZ, bytes);
}

/** Looks into pipes without taking anything out of them. */
export class PipePeek {
  readonly #ends: readonly [read: number, write: number];
  readonly #buffer: Buffer;

  /** `bytes`: how far it can look. Throws when the process may not open more files. */
  constructor(bytes: number) {
    const ends = new Int32Array(new ArrayBuffer(8));
    if (calls()?.pipe2(ptr(ends), O_NONBLOCK | O_CLOEXEC) !== 0) throw new Error("Cannot make a pipe");
    this.#ends = [ends[0] ?? -1, ends[1] ?? -1];
    growPipe(this.#ends[1], bytes);
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  /** The pipe's next bytes, empty when there are none; valid until the next look. */
  look(pipe: number): Uint8Array {
    const [read, write] = this.#ends;
    const count = Number(calls()?.tee(pipe, write, this.#buffer.length, SPLICE_F_NONBLOCK) ?? -1);
    if (count <= 0) return this.#buffer.subarray(0, 0);
    let length = 0;
    while (length < count) length += readSync(read, this.#buffer, length, count - length, null);
    return this.#buffer.subarray(0, count);
  }

  close(): void {
    for (const end of this.#ends) closeSync(end);
  }
}

function calls(): ReturnType<typeof load> {
  loaded ??= load();
  return loaded;
}

function load() {
  return openLibc({
    mkfifo: { args: ["ptr", "u32"], returns: "i32" },
    chmod: { args: ["ptr", "u32"], returns: "i32" },
    splice: { args: ["i32", "ptr", "i32", "ptr", "u64", "u32"], returns: "i64" },
    tee: { args: ["i32", "i32", "u64", "u32"], returns: "i64" },
    poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
    pipe2: { args: ["ptr", "i32"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  });
}
