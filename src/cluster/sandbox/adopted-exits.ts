/** Learns how processes end that are not the engine's children: an earlier engine started them. */
import { closeSync, readFileSync } from "node:fs";
import { ptr } from "bun:ffi";
import type { ProcessIdentity } from "../../lib/process-identity.ts";
import { processStat } from "../../lib/process-stat.ts";
import { decodeWaitStatus, type Launcher, type WaitStatus } from "./launcher.ts";
import type { Readiness } from "./readiness.ts";

/** `_IOWR(0xFF, 11, struct pidfd_info)` in its first size, and bit and place of what is used of it (linux/pidfd.h). */
const PIDFD_GET_INFO = 0xc040_ff0b;
const PIDFD_INFO_BYTES = 64;
const PIDFD_INFO_EXIT = 8n;
const PIDFD_INFO_EXIT_CODE_AT = 60;

const CAP_SYS_PTRACE = 19n;

/** Nobody knows: the process has been reaped by somebody else. 137, as the kubelet has it for lost containers. */
const LOST = { exitCode: 137, isLost: true } as const;

export interface AdoptedExit extends WaitStatus {
  /** The exit code is made up. */
  readonly isLost?: true;
}

/** Resolves when exactly this process has ended, at once when it has. Never rejects. */
export async function adoptedExit(
  { launcher, readiness }: { readonly launcher: Launcher; readonly readiness: Readiness },
  identity: ProcessIdentity,
): Promise<AdoptedExit> {
  const fd = launcher.tryCall("pidfd_open", [identity.pid, 0]);
  if (fd < 0) return LOST;
  try {
    // Asked after the descriptor was opened: it names this process and no other.
    const before = stateOf(identity);
    if (before === undefined) return LOST;
    if (!before.hasEnded) await readable(readiness, fd);
    const after = stateOf(identity);
    const status = after?.hasEnded ? after.status : reapedStatus(launcher, fd);
    return status ?? LOST;
  } catch {
    return LOST;
  } finally {
    closeSync(fd);
  }
}

async function readable(readiness: Readiness, fd: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = readiness.watch(fd, resolve);
  await promise;
  stop();
}

interface ProcessState {
  readonly hasEnded: boolean;
  /** Of a process that has ended and that nobody has reaped yet. */
  readonly status: WaitStatus | undefined;
}

/** From /proc/PID/stat (proc(5)): start time is field 22, the state 3, the exit code 52. */
function stateOf({ pid, startTime }: ProcessIdentity): ProcessState | undefined {
  const fields = processStat(pid);
  if (fields?.[19] !== startTime) return undefined;
  const hasEnded = fields[0] === "Z" || fields[0] === "X";
  const code = Number(fields[49]);
  // Who may not know reads 0 in the place of the exit code, and also of `wchan` (35), which is 1 for others (5.16).
  const isKnown = hasEnded && (code !== 0 || fields[32] !== "0" || maySeeExitCodes());
  return { hasEnded, status: isKnown ? decodeWaitStatus(code) : undefined };
}

let seesExitCodes: boolean | undefined;

function maySeeExitCodes(): boolean {
  const hex = () => /^CapEff:\s*([\da-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  seesExitCodes ??= ((BigInt(`0x${hex()}`) >> CAP_SYS_PTRACE) & 1n) === 1n;
  return seesExitCodes;
}

/** Kernels from 6.15 on remember it for everybody who has a descriptor of the process. */
function reapedStatus(launcher: Launcher, fd: number): WaitStatus | undefined {
  const info = new Uint8Array(PIDFD_INFO_BYTES);
  const view = new DataView(info.buffer);
  view.setBigUint64(0, PIDFD_INFO_EXIT, true);
  if (launcher.tryCall("ioctl", [fd, PIDFD_GET_INFO, ptr(info)]) < 0) return undefined;
  const isThere = (view.getBigUint64(0, true) & PIDFD_INFO_EXIT) !== 0n;
  return isThere ? decodeWaitStatus(view.getInt32(PIDFD_INFO_EXIT_CODE_AT, true)) : undefined;
}
