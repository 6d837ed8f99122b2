/** Tells when descriptors become readable without reading them, which Bun's event loop does for nobody. */
import { closeSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cc, ptr } from "bun:ffi";
import { type Launcher, SyscallError } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import source from "./readiness.c" with { type: "text" };

const TOKEN_BYTES = 8;

export interface Readiness {
  /**
   * Calls back soon after `fd` becomes readable: at once when it is, then whenever more comes (edge-triggered). One waiting
   * descriptor costs nothing. Returns what ends it; to be called before `fd` is closed.
   */
  watch(fd: number, onReady: () => void): () => void;
  /** Ends the thread. Idempotent. */
  close(): void;
}

/** Starts the thread. Throws `SyscallError`, or what the compiler says. */
export function openReadiness(launcher: Launcher): Readiness {
  const epoll = launcher.call("epoll_create1", [linux.O_CLOEXEC]);
  const ends = new Int32Array(2);
  launcher.call("pipe2", [ptr(ends), linux.O_CLOEXEC]);
  const [from = -1, to = -1] = ends;
  const error = compile()(epoll, to);
  if (error !== 0) {
    for (const fd of [epoll, from, to]) closeSync(fd);
    throw new SyscallError("pthread_create()", error);
  }
  const callbacks = new Map<number, () => void>();
  let next = 1;
  let isClosed = false;
  let ending = -1;
  const control = (operation: number, fd: number, token: number): number =>
    launcher.tryCall("epoll_ctl", [epoll, operation, fd, eventOf(token)]);
  const followTokens = async (): Promise<void> => {
    await readTokens(from, (token) => callbacks.get(token)?.());
    if (ending >= 0) closeSync(ending);
  };
  void followTokens();
  return {
    watch(fd, onReady) {
      const token = next++;
      callbacks.set(token, onReady);
      const result = isClosed ? 0 : control(linux.EPOLL_CTL_ADD, fd, token);
      if (result < 0) {
        callbacks.delete(token);
        throw new SyscallError("epoll_ctl()", -result);
      }
      return () => {
        if (callbacks.delete(token) && !isClosed) control(linux.EPOLL_CTL_DEL, fd, 0);
      };
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      callbacks.clear();
      ending = stop(launcher, epoll);
    },
  };
}

/** The reading end of a pipe that nobody writes to is ready at once, and its token is 0. Returns that end. */
function stop(launcher: Launcher, epoll: number): number {
  const ends = new Int32Array(2);
  launcher.call("pipe2", [ptr(ends), linux.O_CLOEXEC]);
  const [from = -1, to = -1] = ends;
  closeSync(to);
  launcher.tryCall("epoll_ctl", [epoll, linux.EPOLL_CTL_ADD, from, eventOf(0)]);
  return from;
}

async function readTokens(fd: number, onToken: (token: number) => void): Promise<void> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of Bun.file(fd).stream()) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const whole = bytes.length - (bytes.length % TOKEN_BYTES);
    for (let at = 0; at < whole; at += TOKEN_BYTES) onToken(view.getUint32(at, true));
    rest = bytes.slice(whole);
  }
}

/** `struct epoll_event`, which is packed on x64 only. */
function eventOf(token: number): Uint8Array {
  const [size, at] = process.arch === "arm64" ? [16, 8] : [12, 4];
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, (linux.EPOLLIN | linux.EPOLLET) >>> 0, true);
  view.setUint32(at, token, true);
  return bytes;
}

type Start = (epoll: number, out: number) => number;

let compiled: Start | undefined;

function compile(): Start {
  if (compiled !== undefined) return compiled;
  // `cc` reads a file, and in a compiled program the source is not one.
  const folder = mkdtempSync(join(tmpdir(), "pillion-readiness-"));
  try {
    const file = join(folder, "readiness.c");
    writeFileSync(file, source, { mode: 0o600 });
    const { symbols } = cc({ source: file, symbols: { start: { args: ["i32", "i32"], returns: "i32" } } });
    compiled = (epoll, out) => symbols.start(epoll, out);
    return compiled;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
