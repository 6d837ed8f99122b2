/**
 * The keeper: a process that outlives the engine and inherits what the engine has started (`PR_SET_CHILD_SUBREAPER`), so that exit
 * codes wait for the next engine and both are in the same namespaces. It is a shell that reads commands and does nothing else.
 */
import { closeSync, constants, openSync, existsSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../kernel/clock.ts";
import { childrenOf } from "../../lib/process-children.ts";
import type { ProcessIdentity } from "../../lib/process-identity.ts";
import { keptDetails, type KeeperDetails } from "./kept-details.ts";
import type { Launcher } from "./launcher.ts";
import { openProcessRecords, sandboxFolder } from "./leftovers.ts";
import * as linux from "./linux-constants.ts";
import { Program } from "./program.ts";
import { sleepPath } from "./pod-sandbox-holder.ts";

/** Others that end at the same moment are looked at before the zombies go. */
const REAP_AFTER_MS = 50;

/**
 * A shell that waits for a program also buries every other child that has ended, oldest first, and reading buries none. (Those that
 * bury at once, as bash does, cost exit codes on kernels before 6.15.)
 */
const SCRIPT = `while read -r line; do "$0" 0; [ "$line" != end ] || exit 0; done`;

/** Present while the pods of this state folder are meant to outlive their engine. */
function markerPath(stateDir: string): string {
  return join(sandboxFolder(stateDir), "kept");
}

export function keepsPods(stateDir: string): boolean {
  return existsSync(markerPath(stateDir));
}

/** From now on the next start ends what this engine leaves. */
export function endKeeping(stateDir: string): void {
  rmSync(markerPath(stateDir), { force: true });
}

export interface KeeperOptions {
  readonly launcher: Launcher;
  readonly stateDir: string;
  /** The engine, absolute path first; it gets this process's standard streams. */
  readonly engine: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Starts the engine as a child, then turns this very process into the keeper. Returns only by throwing. */
export function becomeKeeper({ launcher, stateDir, engine, env }: KeeperOptions): never {
  const sleep = sleepPath();
  launcher.call("prctl", [linux.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0]);
  const records = openProcessRecords(stateDir);
  const commands = join(sandboxFolder(stateDir), `keeper-${process.pid}`);
  rmSync(commands, { force: true });
  launcher.call("mknodat", [linux.AT_FDCWD, commands, linux.S_IFIFO | 0o600, 0]);
  // Open for writing too: its end never comes.
  const input = openSync(commands, constants.O_RDWR);
  const details: KeeperDetails = { kind: "keeper", commands };
  records.add(process.pid, "the keeper of pods", keptDetails(details));
  writeFileSync(markerPath(stateDir), "", { mode: 0o600 });
  const [program = ""] = engine;
  const environment = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  launcher.start(
    new Program()
      .call("setsid", [])
      .call("close_range", [3, linux.MAX_FD, 0])
      .call("execve", [program, [...engine], environment]),
  );
  const nothing = openSync("/dev/null", constants.O_RDWR);
  launcher.call("dup3", [input, 0, 0]);
  for (const fd of [1, 2]) launcher.call("dup3", [nothing, fd, 0]);
  launcher.call("chdir", ["/"]);
  launcher.call("close_range", [3, linux.MAX_FD, linux.CLOSE_RANGE_CLOEXEC]);
  launcher.call("execve", ["/bin/sh", ["sh", "-c", SCRIPT, sleep], [`PILLION_STATE=${stateDir}`]]);
  throw new Error("execve() came back");
}

export interface Keeper {
  readonly identity: ProcessIdentity;
  readonly details: KeeperDetails;
}

/** The keepers of this engine and of those before. */
export interface Keepers {
  /** Exit codes have been read: the keepers let go of processes that have ended, soon. */
  reapSoon(): void;
  /** Ends what they have inherited and nobody knows: it was started in the moment before an engine was killed. */
  killUnknown(known: ReadonlySet<number>): void;
  /** The keepers end as soon as they have buried what has ended. What they still have goes to process 1. */
  stop(): void;
}

export function commandKeepers(
  { launcher, clock }: { readonly launcher: Launcher; readonly clock: Clock },
  keepers: readonly Keeper[],
): Keepers {
  let isScheduled = false;
  const reap = (): void => {
    isScheduled = false;
    for (const { details } of keepers) command(details.commands, "reap");
  };
  return {
    reapSoon() {
      if (isScheduled) return;
      isScheduled = true;
      clock.schedule(REAP_AFTER_MS, reap);
    },
    killUnknown(known) {
      for (const pid of childrenOf(keepers.map(({ identity }) => identity.pid)))
        if (pid !== process.pid && !known.has(pid)) launcher.tryCall("kill", [pid, linux.SIGKILL]);
    },
    stop() {
      for (const { details } of keepers) command(details.commands, "end");
    },
  };
}

function command(path: string, line: "reap" | "end"): void {
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(fd, `${line}\n`);
    } finally {
      closeSync(fd);
    }
  } catch {
    // The keeper has ended, and with it the zombies are somebody else's.
  }
}
