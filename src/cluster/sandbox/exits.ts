/** Learns how the engine's own children ended. */
import { ptr } from "bun:ffi";
import type { Clock } from "../../kernel/clock.ts";
import type { Launcher, WaitStatus } from "./launcher.ts";
import { P_ALL, WEXITED, WNOHANG, WNOWAIT } from "./linux-constants.ts";

export interface ProcessExit extends WaitStatus {
  /** The exit code is made up: nobody knows how the process ended. */
  readonly isLost?: true;
  /** Unix milliseconds at which the engine learned of it. */
  readonly finishedAt: number;
}

export interface Exits {
  /**
   * How the child `pid` ends. Must be called in the same turn of the event loop as the launch: until then the child
   * cannot be reaped, so its pid cannot become another process. Never rejects.
   */
  watch(pid: number): Promise<ProcessExit>;
  /** Counts a process that is not the engine's child as running until `ended` resolves. */
  adopt(pid: number, ended: Promise<Omit<ProcessExit, "finishedAt">>): Promise<ProcessExit>;
  /** False from the moment `watch` knows the end: only before that may the pid be sent a signal. */
  isRunning(pid: number): boolean;
  /** Stops listening. Watched children stay unreaped until the engine ends. */
  close(): void;
}

/**
 * Reaps exactly the watched pids when SIGCHLD comes: waiting for any child would steal those of `Bun.spawn`.
 * SIGCHLD is the one signal read outside of `bin`, because it belongs to processes and not to the user.
 */
export function watchExits(launcher: Launcher, clock: Clock): Exits {
  const watched = new Map<number, (exit: ProcessExit) => void>();
  const reap = (pid: number): void => {
    const status = launcher.wait(pid);
    if (status === undefined) return;
    const resolve = watched.get(pid);
    watched.delete(pid);
    resolve?.({ ...status, finishedAt: clock.now() });
  };
  const adopted = new Set<number>();
  const ended = endedChild(launcher);
  /** Asks for each that the kernel names; only behind a child of Bun's, which hides others, for every one that there is. */
  const reapEnded = (): void => {
    let last: number | undefined;
    let pid = ended();
    while (pid !== undefined && pid !== last && watched.has(pid)) {
      reap(pid);
      last = pid;
      pid = ended();
    }
    if (pid !== undefined) for (const each of watched.keys()) reap(each);
  };
  process.on("SIGCHLD", reapEnded);
  return {
    watch: (pid) =>
      new Promise((resolve) => {
        watched.set(pid, resolve);
        // It may have ended before the signal handler knew of it.
        reap(pid);
      }),
    async adopt(pid, end) {
      adopted.add(pid);
      const status = await end;
      adopted.delete(pid);
      return { ...status, finishedAt: clock.now() };
    },
    isRunning: (pid) => watched.has(pid) || adopted.has(pid),
    close: () => void process.off("SIGCHLD", reapEnded),
  };
}

/** `siginfo_t`: 128 bytes, the pid behind three numbers and a gap. */
const SIGINFO_BYTES = 128;
const SIGINFO_PID = 4;

/** The pid of some child that has ended and is not reaped; it stays so. A hundred times cheaper than to ask for hundreds. */
function endedChild(launcher: Launcher): () => number | undefined {
  // Over a buffer of its own: the memory of a small array does not always stay where it was made.
  const info = new Int32Array(new ArrayBuffer(SIGINFO_BYTES));
  return () => {
    info[SIGINFO_PID] = 0;
    const result = launcher.tryCall("waitid", [P_ALL, 0, ptr(info), WEXITED | WNOHANG | WNOWAIT, 0]);
    const pid = info[SIGINFO_PID] ?? 0;
    return result < 0 || pid === 0 ? undefined : pid;
  };
}
