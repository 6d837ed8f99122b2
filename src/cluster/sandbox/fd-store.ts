/** Keeps descriptors open when the engine is gone: they wait in a socket whose two ends another process has. */
import { closeSync } from "node:fs";
import { ptr } from "bun:ffi";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** Every message is an id (a container's, and what of it), padded, so that the bytes in the socket tell how many there are. */
const ID_BYTES = 80;
const MAX_FDS = 4;

/** One message in the socket carries one set of descriptors. */
export interface FdStore {
  /** The two ends, for the process that is to hold them. */
  readonly ends: readonly [number, number];
  /**
   * The descriptors, which the engine leaves open too, stay open until `drop`, also when the engine ends. Does its best: a full
   * socket takes no more.
   */
  hold(id: string, fds: readonly number[]): void;
  /** Lets go of a set. */
  drop(id: string): void;
  /** Everything that is in there, for an engine that goes on with it: new descriptors, which stay in the store until `drop` too. */
  recover(): ReadonlyMap<string, readonly number[]>;
  /** Closes the engine's copies of the ends. */
  close(): void;
}

/** A new, empty one. Throws `SyscallError`. */
export function openFdStore(launcher: Launcher): FdStore {
  const pair = new Int32Array(2);
  launcher.call("socketpair", [AF_UNIX, SOCK_STREAM | linux.O_CLOEXEC, 0, ptr(pair)]);
  const [input = -1, output = -1] = pair;
  return storeOf(launcher, [input, output]);
}

/** The one whose ends another process has at these numbers; undefined where the kernel does not hand them out. */
export function findFdStore(
  launcher: Launcher,
  pid: number,
  ends: readonly [number, number],
): FdStore | undefined {
  const process = launcher.tryCall("pidfd_open", [pid, 0]);
  if (process < 0) return undefined;
  const [input = -1, output = -1] = ends.map((fd) => launcher.tryCall("pidfd_getfd", [process, fd, 0]));
  closeSync(process);
  if (input >= 0 && output >= 0) return storeOf(launcher, [input, output]);
  for (const fd of [input, output]) if (fd >= 0) closeSync(fd);
  return undefined;
}

function storeOf(launcher: Launcher, ends: readonly [number, number]): FdStore {
  const [input, output] = ends;
  const held = new Map<string, readonly number[]>();
  const send = (id: string): void => {
    const message = new Message(id, held.get(id) ?? []);
    launcher.tryCall("sendmsg", [input, message.address, MSG_DONTWAIT | MSG_NOSIGNAL]);
  };
  return {
    ends,
    hold(id, fds) {
      held.set(id, fds);
      send(id);
    },
    drop(id) {
      held.delete(id);
      // First the new ones, then away with the old: at no moment is a pipe held by nobody.
      const before = waiting(launcher, output);
      for (const other of held.keys()) send(other);
      const bytes = new Uint8Array(ID_BYTES);
      for (let count = 0; count < before; count++)
        launcher.tryCall("recvfrom", [output, ptr(bytes), ID_BYTES, MSG_DONTWAIT, 0, 0]);
    },
    recover() {
      for (let count = waiting(launcher, output); count > 0; count--) {
        const message = new Message("", []);
        const flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
        if (launcher.tryCall("recvmsg", [output, message.address, flags]) !== ID_BYTES) break;
        held.set(message.id, message.fds);
        send(message.id);
      }
      return new Map(held);
    },
    close() {
      for (const fd of ends) closeSync(fd);
    },
  };
}

/** How many sets are in the socket. */
function waiting(launcher: Launcher, fd: number): number {
  const answer = new Int32Array(1);
  launcher.tryCall("ioctl", [fd, linux.FIONREAD, ptr(answer)]);
  return Math.floor((answer[0] ?? 0) / ID_BYTES);
}

const IOVEC_AT = 56;
const CONTROL_AT = IOVEC_AT + 16;
const FDS_AT = CONTROL_AT + 16;
const DATA_AT = FDS_AT + MAX_FDS * 4;

/** `struct msghdr` with one `iovec` and one `cmsghdr` of SCM_RIGHTS (unix(7)), to send or to be filled. */
class Message {
  readonly address: number;
  readonly #memory = Buffer.from(new ArrayBuffer(DATA_AT + ID_BYTES));

  constructor(id: string, fds: readonly number[]) {
    const memory = this.#memory;
    this.address = ptr(memory);
    const pointer = (at: number) => BigInt(this.address + at);
    const isToSend = id !== "";
    const control = 16 + (isToSend ? fds.length : MAX_FDS) * 4;
    memory.writeBigUInt64LE(pointer(IOVEC_AT), 16);
    memory.writeBigUInt64LE(1n, 24);
    memory.writeBigUInt64LE(pointer(CONTROL_AT), 32);
    memory.writeBigUInt64LE(BigInt(control), 40);
    memory.writeBigUInt64LE(pointer(DATA_AT), IOVEC_AT);
    memory.writeBigUInt64LE(BigInt(ID_BYTES), IOVEC_AT + 8);
    memory.writeBigUInt64LE(BigInt(control), CONTROL_AT);
    memory.writeInt32LE(SOL_SOCKET, CONTROL_AT + 8);
    memory.writeInt32LE(SCM_RIGHTS, CONTROL_AT + 12);
    for (const [index, fd] of fds.entries()) memory.writeInt32LE(fd, FDS_AT + index * 4);
    memory.write(id, DATA_AT, ID_BYTES, "latin1");
  }

  get id(): string {
    return this.#memory.toString("latin1", DATA_AT).replace(/\0+$/, "");
  }

  get fds(): readonly number[] {
    const count = (Number(this.#memory.readBigUInt64LE(CONTROL_AT)) - 16) / 4;
    return Array.from({ length: count }, (_, index) => this.#memory.readInt32LE(FDS_AT + index * 4));
  }
}
