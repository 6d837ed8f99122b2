/** Reads what is in a pipe without taking it out. */
import { closeSync, readSync } from "node:fs";
import { ptr } from "bun:ffi";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";

/** Most that is looked at in one go. */
const PEEK_BYTES = 64 * 1024;

/** Wished for all pipes of logs. Users over `pipe-user-pages-soft`, which counts all their programs, get less. */
export const PIPE_BYTES = 256 * 1024;

export interface PipePeek {
  /**
   * The first bytes in the pipe, 64 KiB at most, good until the next call; "empty", or "over" when it is empty and nobody can
   * write to it any more. Throws `SyscallError`.
   */
  peek(fd: number): Uint8Array | "empty" | "over";
  close(): void;
}

/** One for all pipes: the kernel copies references to pages into a pipe of ours, from which the bytes are read. */
export function openPipePeek(launcher: Launcher): PipePeek {
  const ends = new Int32Array(2);
  launcher.call("pipe2", [ptr(ends), linux.O_CLOEXEC | linux.O_NONBLOCK]);
  const [from = -1, to = -1] = ends;
  growPipe(launcher, to);
  const bytes = new Uint8Array(PEEK_BYTES);
  const EAGAIN = -11;
  return {
    peek(fd) {
      const count = launcher.tryCall("tee", [fd, to, PEEK_BYTES, linux.SPLICE_F_NONBLOCK]);
      if (count === 0) return "over";
      if (count === EAGAIN) return "empty";
      if (count < 0) launcher.call("tee", [fd, to, PEEK_BYTES, linux.SPLICE_F_NONBLOCK]);
      let got = 0;
      while (got < count) got += readSync(from, bytes, got, count - got, null);
      return bytes.subarray(0, count);
    },
    close() {
      closeSync(from);
      closeSync(to);
    },
  };
}

/** As large as allowed; returns its size in bytes. */
export function growPipe(launcher: Launcher, fd: number, bytes = PIPE_BYTES): number {
  launcher.tryCall("fcntl", [fd, linux.F_SETPIPE_SZ, bytes]);
  return launcher.call("fcntl", [fd, linux.F_GETPIPE_SZ, 0]);
}

/** Bytes in a pipe that nobody has read. Throws `SyscallError`. */
export function unreadBytes(launcher: Launcher, fd: number): number {
  const answer = new Int32Array(1);
  launcher.call("ioctl", [fd, linux.FIONREAD, ptr(answer)]);
  return answer[0] ?? 0;
}
