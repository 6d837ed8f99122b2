/** Unix datagram sockets, which the runtime's own modules do not know: `syslog()` sends to one. */
import { closeSync, renameSync, unlinkSync } from "node:fs";
import { ptr } from "bun:ffi";
import { cString, openLibc } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4_000;
const SOCK_CLOEXEC = 0o2_000_000;
const F_DUPFD_CLOEXEC = 1030;
const MSG_DONTWAIT = 0x40;
/** `sockaddr_un`: the family, then the path. */
const PATH_AT = 2;
/** A whole message: more than a sender's buffer holds by default (net.core.wmem_default). */
const MOST_BYTES = 2 ** 18;

let loaded: ReturnType<typeof load> | undefined;

export interface DatagramOptions {
  readonly mode: number;
  /** One call for each message, valid only during it. */
  readonly received: (message: Uint8Array) => void;
}

/** A socket at a path. Whatever was at the path before is replaced in one step. */
export class DatagramSocket {
  readonly #options: DatagramOptions;
  readonly #fd: number;
  #events: Bun.Socket | undefined;
  #isPaused = false;
  #isClosed = false;

  /** Throws when it cannot be made, or the path has more than 103 bytes. */
  constructor(path: string, options: DatagramOptions) {
    this.#options = options;
    this.#fd = bind(path, options.mode);
  }

  /** Begins to receive. */
  async open(): Promise<void> {
    const duplicate = calls().fcntl(this.#fd, F_DUPFD_CLOEXEC, 0);
    if (duplicate < 0) throw new Error("too many files are open");
    // To the event loop it is a connection; each message comes in a call of its own.
    const options: Bun.FdSocketOptions = {
      fd: duplicate,
      socket: {
        data: (_, message) => this.#options.received(message),
        // An empty message looks like the end of a connection.
        end: (socket) => void socket.end(),
        close: () => this.#reopen(),
        error: () => undefined,
      },
    };
    // The types leave out that descriptors can be connected.
    const events = await Bun.connect(options as unknown as Bun.UnixSocketOptions);
    this.#events = events;
    if (this.#isClosed) events.terminate();
    else if (this.#isPaused) events.pause();
  }

  /** Messages stay with the kernel, and then with their senders. */
  pause(): void {
    this.#isPaused = true;
    this.#events?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#events?.resume();
  }

  /** Hands out what has arrived by now, up to so many messages. */
  drain(most: number): void {
    const buffer = Buffer.allocUnsafeSlow(MOST_BYTES);
    for (let count = 0; count < most; count++) {
      const length = Number(calls().recv(this.#fd, ptr(buffer), buffer.length, MSG_DONTWAIT));
      if (length < 0) return;
      this.#options.received(buffer.subarray(0, length));
    }
  }

  /** What has arrived and was not drained is lost. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events?.terminate();
    closeSync(this.#fd);
  }

  #reopen(): void {
    this.#events = undefined;
    // Cannot fail for want of anything but descriptors, of which one has just become free.
    if (!this.#isClosed) void this.open();
  }
}

function bind(path: string, mode: number): number {
  const libc = calls();
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new Error("too many files are open");
  const beside = `${path}.new`;
  try {
    removeIfThere(beside);
    const name = cString(beside);
    const address = cString(`\0\0${beside}`);
    address.writeUInt16LE(AF_UNIX, 0);
    if (libc.bind(fd, ptr(address), PATH_AT + name.length) !== 0) {
      throw new Error("its folder is missing or may not be written to, or the path is too long");
    }
    // Nobody can send before the mode is right.
    libc.chmod(ptr(name), mode);
    renameSync(beside, path);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function calls(): NonNullable<ReturnType<typeof load>> {
  loaded ??= load();
  if (loaded === null) throw new Error("the C library of this system cannot be loaded");
  return loaded;
}

function load() {
  return openLibc({
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    chmod: { args: ["ptr", "u32"], returns: "i32" },
    recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  });
}
