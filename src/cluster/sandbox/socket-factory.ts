/** Makes sockets inside network namespaces that JavaScript never enters: a thread goes there, and hands them over. */
import { connect as adoptSocket, type NetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../kernel/clock.ts";
import { parseIpv4 } from "../../lib/ipv4.ts";
import { sleep } from "../../lib/sleep.ts";
import { errnoName } from "./errno.ts";
import { LaunchError, type Launcher, type ProgramThread, SyscallError } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { Program, type Slot } from "./program.ts";
import type { Address } from "./sandbox.ts";

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SOCKADDR_BYTES = 16;
const ON = Uint8Array.of(1, 0, 0, 0);

/** Who comes while a listener is busy; the kernel takes no more than net.core.somaxconn. */
const BACKLOG = 1024;

const EISCONN = 106;
const EINPROGRESS = 115;
const EALREADY = 114;

/** Nearly every connection on one machine is there at once; one that is not is looked at again, less and less often. */
const FIRST_LOOK_MS = 1;
const SELDOM_LOOK_MS = 32;

export interface ConnectRequest {
  /** Path of a network namespace of ours, as in /proc/PID/ns/net; absent = the node's. */
  readonly netns?: string;
  readonly to: Address;
  readonly signal: AbortSignal;
}

export interface SocketFactory {
  /**
   * A connection whose sides end independently (`allowHalfOpen`), and which a slow reader slows down. Rejects with the kernel's
   * `code` (ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, ...), or with the signal's reason. Costs about 60 µs.
   */
  connect(request: ConnectRequest): Promise<Duplex>;
  /**
   * A descriptor that listens in the node's namespace, on any address of the node, of a Service (AnyIP) or 0.0.0.0; port 0
   * takes a free one. It is the caller's to adopt and close. Throws with the kernel's `code` (EADDRINUSE, EADDRNOTAVAIL).
   */
  listenTcp(at: Address): number;
  /** The same for datagrams. */
  bindUdp(at: Address): number;
  /** A descriptor for datagrams from the node to one address and back; nobody else's are received. */
  connectUdp(to: Address): number;
  /** Ends the thread. Connections go on. Idempotent. */
  close(): void;
}

/** `node` is the node's network namespace, open in the engine, where the thread waits: it must keep no dead pod's alive. */
export function createSocketFactory({
  launcher,
  clock,
  node,
}: {
  readonly launcher: Launcher;
  readonly clock: Clock;
  readonly node: number;
}): SocketFactory {
  const thread = launcher.startThread();
  try {
    thread.run(new Program().call("setns", [node, linux.CLONE_NEWNET], { name: "setns(node)" }));
  } catch (error) {
    thread.close();
    throw error;
  }
  return {
    async connect({ netns, to, signal }) {
      signal.throwIfAborted();
      const address = socketAddress(to);
      const begun = beginConnect(thread, { node, netns, address });
      await established(begun, { launcher, clock, address, to, signal });
      return adopt(begun.fd);
    },
    listenTcp(at) {
      const address = socketAddress(at, 0);
      return openSocket(thread, { launcher, type: SOCK_STREAM, at }, (program, fd) => {
        program
          .call("setsockopt", [fd, SOL_SOCKET, SO_REUSEADDR, ON, 4], { ignore: "all" })
          .call("bind", [fd, address, SOCKADDR_BYTES], { name: "bind" })
          .call("listen", [fd, BACKLOG], { name: "listen" });
      });
    },
    bindUdp(at) {
      const address = socketAddress(at, 0);
      return openSocket(thread, { launcher, type: SOCK_DGRAM, at }, (program, fd) => {
        program.call("bind", [fd, address, SOCKADDR_BYTES], { name: "bind" });
      });
    },
    connectUdp(to) {
      const address = socketAddress(to);
      return openSocket(thread, { launcher, type: SOCK_DGRAM, at: to }, (program, fd) => {
        program.call("connect", [fd, address, SOCKADDR_BYTES], { name: "connect" });
      });
    },
    close: () => thread.close(),
  };
}

interface SocketWish {
  readonly launcher: Launcher;
  readonly type: number;
  readonly at: Address;
}

/** Makes a socket where the thread waits, and prepares it there. Whatever fails, no descriptor is left. */
function openSocket(
  thread: ProgramThread,
  { launcher, type, at }: SocketWish,
  prepare: (program: Program, fd: Slot) => void,
): number {
  const program = new Program();
  const fd = program.slot();
  program.call("socket", [AF_INET, type | linux.O_NONBLOCK | linux.O_CLOEXEC, 0], {
    save: fd,
    name: "socket",
  });
  prepare(program, fd);
  try {
    return thread.run(program).slot(fd);
  } catch (error) {
    if (!(error instanceof LaunchError)) throw error;
    if (error.slot(fd) > 0) launcher.call("close", [error.slot(fd)]);
    throw socketError(error.call, error.errno, at);
  }
}

interface Begun {
  readonly fd: number;
  /** 0, or −errno of asking for the connection a second time, which tells how the first went. */
  readonly state: number;
}

interface Trip {
  readonly node: number;
  readonly netns: string | undefined;
  readonly address: Uint8Array;
}

/** One trip of the thread. A socket keeps the namespace it was made in, and any thread may use it. Throws `SyscallError`. */
function beginConnect(thread: ProgramThread, { node, netns, address }: Trip): Begun {
  const program = new Program();
  const [namespace, joined, fd, state] = [program.slot(), program.slot(), program.slot(), program.slot()];
  const end = program.label();
  if (netns !== undefined) {
    const flags = linux.O_RDONLY | linux.O_CLOEXEC;
    program
      .call("openat", [linux.AT_FDCWD, netns, flags, 0], { save: namespace })
      .call("setns", [namespace, linux.CLONE_NEWNET], { save: joined, ignore: "all", orElse: end });
  }
  const flags = SOCK_STREAM | linux.O_NONBLOCK | linux.O_CLOEXEC;
  const connect = [fd, address, SOCKADDR_BYTES] as const;
  program
    .call("socket", [AF_INET, flags, 0], { save: fd, ignore: "all", orElse: end })
    .call("setsockopt", [fd, IPPROTO_TCP, TCP_NODELAY, ON, 4], { ignore: "all" })
    .call("connect", connect, { ignore: "all" })
    .call("connect", connect, { ignore: "all", save: state })
    .place(end);
  if (netns !== undefined)
    program.call("close", [namespace]).call("setns", [node, linux.CLONE_NEWNET], { name: "setns(node)" });
  const done = thread.run(program);
  for (const slot of [joined, fd])
    if (done.slot(slot) < 0)
      throw new SyscallError(slot === fd ? "socket()" : "setns(pod)", -done.slot(slot));
  return { fd: done.slot(fd), state: done.slot(state) };
}

interface Pending {
  readonly launcher: Launcher;
  readonly clock: Clock;
  readonly address: Uint8Array;
  readonly to: Address;
  readonly signal: AbortSignal;
}

/** Resolves once the handshake is over; otherwise the socket is closed. */
async function established(begun: Begun, { launcher, clock, address, to, signal }: Pending): Promise<void> {
  let { state } = begun;
  try {
    for (let waitMs = FIRST_LOOK_MS; isPending(state); waitMs = Math.min(waitMs * 2, SELDOM_LOOK_MS)) {
      await sleep(waitMs, clock, signal);
      signal.throwIfAborted();
      state = launcher.tryCall("connect", [begun.fd, address, SOCKADDR_BYTES]);
    }
    if (state < 0 && state !== -EISCONN) throw socketError("connect", -state, to);
  } catch (error) {
    launcher.call("close", [begun.fd]);
    throw error;
  }
}

function isPending(state: number): boolean {
  return state === -EALREADY || state === -EINPROGRESS;
}

/** Of everything in Bun 1.4.5 that adopts a descriptor, this one has the back-pressure and the half-close of Node's sockets. */
function adopt(fd: number): Duplex {
  const options = { fd, allowHalfOpen: true };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `fd` is Bun's own option, unknown to Node's types
  return adoptSocket(options as unknown as NetConnectOpts);
}

/** `struct sockaddr_in`. */
function socketAddress({ ip, port }: Address, lowestPort = 1): Uint8Array {
  const number = parseIpv4(ip);
  if (number === undefined || !Number.isInteger(port) || port < lowestPort || port > 65_535)
    throw new TypeError(`Not an IPv4 address and a port: ${ip}:${port}`);
  const bytes = new Uint8Array(SOCKADDR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  view.setUint32(4, number);
  return bytes;
}

/** As Node's own calls reject. */
function socketError(syscall: string, errno: number, { ip, port }: Address): Error {
  const code = errnoName(errno);
  const details = { code, errno: -errno, syscall, address: ip, port };
  return Object.assign(new Error(`${syscall} ${code} ${ip}:${port}`), details);
}
