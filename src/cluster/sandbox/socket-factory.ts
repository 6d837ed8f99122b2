/** Makes TCP connections inside network namespaces that JavaScript never enters: a thread goes there, and hands over sockets. */
import { connect as adoptSocket, type NetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../kernel/clock.ts";
import { parseIpv4 } from "../../lib/ipv4.ts";
import { sleep } from "../../lib/sleep.ts";
import { errnoName } from "./errno.ts";
import { type Launcher, type ProgramThread, SyscallError } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { Program } from "./program.ts";
import type { Address } from "./sandbox.ts";

const AF_INET = 2;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SOCKADDR_BYTES = 16;

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
    close: () => thread.close(),
  };
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
    .call("setsockopt", [fd, IPPROTO_TCP, TCP_NODELAY, Uint8Array.of(1, 0, 0, 0), 4], { ignore: "all" })
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
    if (state < 0 && state !== -EISCONN) throw connectError(-state, to);
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
function socketAddress({ ip, port }: Address): Uint8Array {
  const number = parseIpv4(ip);
  if (number === undefined || !Number.isInteger(port) || port < 1 || port > 65_535)
    throw new TypeError(`Not an IPv4 address and a port: ${ip}:${port}`);
  const bytes = new Uint8Array(SOCKADDR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  view.setUint32(4, number);
  return bytes;
}

/** As Node's own `connect` rejects. */
function connectError(errno: number, { ip, port }: Address): Error {
  const code = errnoName(errno);
  const details = { code, errno: -errno, syscall: "connect", address: ip, port };
  return Object.assign(new Error(`connect ${code} ${ip}:${port}`), details);
}
