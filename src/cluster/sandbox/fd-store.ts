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

const MSGHDR_BYTES = 56;
const IOVEC_BYTES = 16;
const CMSGHDR_BYTES = 16;

/**
 * One byte in the socket carries one set of descriptors, and nobody ever reads them out: a pipe that is held like this can be
 * opened again by its path, with everything that is in it.
 */
export interface FdStore {
  /** The two ends, for the process that is to hold them. */
  readonly ends: readonly [number, number];
  /**
   * The descriptors, which the engine leaves open too, stay open until `drop`, also when the engine ends. Does its best: a full
   * socket takes no more.
   */
  hold(id: string, fds: readonly number[]): void;
  /** Lets go of a set, and of everything that an earlier engine held and this one does not. */
  drop(id: string): void;
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
  const [input, output] = ends.map((fd) => launcher.tryCall("pidfd_getfd", [process, fd, 0]));
  closeSync(process);
  if (input !== undefined && output !== undefined && input >= 0 && output >= 0)
    return storeOf(launcher, [input, output]);
  for (const fd of [input, output]) if (fd !== undefined && fd >= 0) closeSync(fd);
  return undefined;
}

function storeOf(launcher: Launcher, ends: readonly [number, number]): FdStore {
  const [input, output] = ends;
  const held = new Map<string, readonly number[]>();
  const send = (fds: readonly number[]): void => void sendDescriptors(launcher, input, fds);
  return {
    ends,
    hold(id, fds) {
      held.set(id, fds);
      send(fds);
    },
    drop(id) {
      held.delete(id);
      // First the new ones, then away with the old: at no moment is a pipe held by nobody.
      const before = waiting(launcher, output);
      for (const fds of held.values()) send(fds);
      const byte = new Uint8Array(1);
      for (let count = 0; count < before; count++)
        launcher.tryCall("recvfrom", [output, ptr(byte), 1, MSG_DONTWAIT, 0, 0]);
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
  return answer[0] ?? 0;
}

/** `sendmsg` of one byte with SCM_RIGHTS (unix(7)). */
function sendDescriptors(launcher: Launcher, socket: number, fds: readonly number[]): number {
  const length = CMSGHDR_BYTES + fds.length * 4;
  const memory = new Uint8Array(MSGHDR_BYTES + IOVEC_BYTES + length + 16);
  const view = new DataView(memory.buffer);
  const address = BigInt(ptr(memory));
  const iovec = MSGHDR_BYTES;
  const control = iovec + IOVEC_BYTES;
  const byte = BigInt(control + length + 8);
  view.setBigUint64(16, address + BigInt(iovec), true);
  view.setBigUint64(24, 1n, true);
  view.setBigUint64(32, address + BigInt(control), true);
  view.setBigUint64(40, BigInt(length), true);
  view.setBigUint64(iovec, address + byte, true);
  view.setBigUint64(iovec + 8, 1n, true);
  view.setBigUint64(control, BigInt(length), true);
  view.setInt32(control + 8, SOL_SOCKET, true);
  view.setInt32(control + 12, SCM_RIGHTS, true);
  for (const [index, fd] of fds.entries()) view.setInt32(control + CMSGHDR_BYTES + index * 4, fd, true);
  return launcher.tryCall("sendmsg", [socket, ptr(memory), MSG_DONTWAIT | MSG_NOSIGNAL]);
}
