/** Ends what a container leaves behind where its process 1 is not that of its process namespace, so that the kernel ends nothing. */
import { closeSync, readdirSync, readlinkSync } from "node:fs";
import { ptr } from "bun:ffi";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import type { Program } from "./program.ts";

/** Whoever starts processes faster than they are found is looked for so many times. */
const MAX_ROUNDS = 1_000;
const LINK_BYTES = 64;

/** Names of namespaces as /proc shows them: `mnt:[4026532262]`. */
export interface Membership {
  readonly mnt: string;
  readonly pid: string;
}

/** Where the program leaves the name of its mount namespace: the process may have ended before the engine can ask. */
export class MountNamespaceName {
  /** Over a buffer of its own, which never moves. */
  readonly #bytes = new Uint8Array(new ArrayBuffer(LINK_BYTES));

  /** While the engine's /proc can be seen. */
  note(program: Program): void {
    program.call("readlinkat", [linux.AT_FDCWD, "/proc/self/ns/mnt", ptr(this.#bytes), LINK_BYTES - 1]);
  }

  toString(): string {
    return Buffer.from(this.#bytes).toString("latin1").replaceAll("\0", "");
  }
}

/** A container is all processes in its mount namespace, wherever they have moved otherwise. */
export class ContainerMembers {
  readonly #launcher: Launcher;
  /** Process 1 by mount namespace: the kernel gives the name of one that is gone to the next. */
  readonly #owners = new Map<string, number>();

  constructor(launcher: Launcher) {
    this.#launcher = launcher;
  }

  /** Returns what ends everything that `pid` has left, once it has ended itself; comes back when that is gone. */
  track(pid: number, membership: Membership): () => Promise<void> {
    this.#owners.set(membership.mnt, pid);
    return async () => {
      for (let round = 0; round < MAX_ROUNDS && this.#owners.get(membership.mnt) === pid; round++) {
        if (this.#kill(membership) === 0) this.#owners.delete(membership.mnt);
        else await new Promise(setImmediate);
      }
    };
  }

  /** How many there were; what has ended has no namespaces any more. */
  #kill(membership: Membership): number {
    const members = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => isMember(pid, membership));
    for (const pid of members) killMember(this.#launcher, pid, membership);
    return members.length;
  }
}

function isMember(pid: number, { mnt, pid: pidNamespace }: Membership): boolean {
  return namespaceOf(pid, "mnt") === mnt && namespaceOf(pid, "pid") === pidNamespace;
}

/** Undefined for processes that have ended, and those that are none of the engine's business. */
function namespaceOf(pid: number, kind: "mnt" | "pid"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}

function killMember(launcher: Launcher, pid: number, membership: Membership): void {
  const process = launcher.tryCall("pidfd_open", [pid, 0]);
  if (process < 0) return;
  // Asked again: the number may have become another process's before it was held.
  if (isMember(pid, membership)) launcher.tryCall("pidfd_send_signal", [process, linux.SIGKILL, 0, 0]);
  closeSync(process);
}
