/** Learns how the engine's own children ended. */
import type { Clock } from "../../kernel/clock.ts";
import type { Launcher, WaitStatus } from "./launcher.ts";

export interface ProcessExit extends WaitStatus {
  /** Unix milliseconds at which the engine learned of it. */
  readonly finishedAt: number;
}

export interface Exits {
  /**
   * How the child `pid` ends. Must be called in the same turn of the event loop as the launch: until then the child
   * cannot be reaped, so its pid cannot become another process. Never rejects.
   */
  watch(pid: number): Promise<ProcessExit>;
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
  const reapAll = (): void => {
    for (const pid of watched.keys()) reap(pid);
  };
  process.on("SIGCHLD", reapAll);
  return {
    watch: (pid) =>
      new Promise((resolve) => {
        watched.set(pid, resolve);
        // It may have ended before the signal handler knew of it.
        reap(pid);
      }),
    isRunning: (pid) => watched.has(pid),
    close: () => void process.off("SIGCHLD", reapAll),
  };
}
