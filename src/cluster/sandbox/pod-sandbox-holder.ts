/** A process that does nothing but keep namespaces alive, so that containers can come and go in them. */
import { closeSync } from "node:fs";
import { Problem } from "../../kernel/problem.ts";
import type { ProcessIdentity } from "../../lib/process-identity.ts";
import { joinCgroups, openJoins } from "./cgroups/join-cgroup.ts";
import type { ContainerCgroup } from "./cgroups/open-cgroups.ts";
import type { Exits } from "./exits.ts";
import type { FdStore } from "./fd-store.ts";
import { keptDetails, type NodeDetails, type PodDetails } from "./kept-details.ts";
import type { Launcher } from "./launcher.ts";
import type { ProcessRecords } from "./leftovers.ts";
import * as linux from "./linux-constants.ts";
import { Program } from "./program.ts";

const SIGCHLD = 17;
/** `struct sigaction`: handler SIG_IGN, no flags. It survives `execve`. */
const IGNORED = new Uint8Array(BigUint64Array.of(1n, 0n, 0n, 0n).buffer);
const SIGNAL_SET_BYTES = 8;
/** Seconds, 68 years: `infinity` is not known to every sleep(1). */
const FOR_EVER = String(2 ** 31 - 1);

export interface HolderTools {
  readonly launcher: Launcher;
  readonly exits: Exits;
  readonly records: ProcessRecords;
  /** Absolute path of sleep(1). */
  readonly sleep: string;
  /** `NAME=value`, for people who look at the process list. */
  readonly env: readonly string[];
  /** Holders get SIGKILL when the engine's main thread ends, however it ends. */
  readonly diesWithEngine: boolean;
}

export interface HolderSpec {
  /** CLONE_NEW… of the namespaces to hold. */
  readonly flags: number;
  /** Sets them up, from inside. May use up the child's stdin. */
  readonly build: (program: Program) => void;
  /** For people: what the process stands for. */
  readonly what: string;
  readonly cgroup?: ContainerCgroup;
  /** For the engine that adopts it. */
  readonly details: NodeDetails | PodDetails;
  /** Descriptors that become its standard input and output. */
  readonly ends?: FdStore["ends"] | undefined;
}

export interface Holder {
  readonly pid: number;
  readonly identity: ProcessIdentity;
  /** Resolves when the process has ended, whoever ended it. */
  readonly exited: Promise<void>;
  /** Ends it and resolves when it is gone. Idempotent. */
  stop(): Promise<void>;
}

/** Of sleep(1). Throws E_PROGRAM_MISSING. */
export function sleepPath(): string {
  const path = Bun.which("sleep");
  if (path !== null) return path;
  throw new Problem({
    code: "E_PROGRAM_MISSING",
    message: 'Cannot start pods: the program "sleep" is not on PATH',
    fix: "Install coreutils, or add its folder to PATH",
  });
}

/** Starts a holder; throws `LaunchError` when the kernel refuses a step. Takes 1–2 ms and blocks meanwhile. */
export function startHolder(tools: HolderTools, spec: HolderSpec): Holder {
  const { launcher, exits, records } = tools;
  const { what } = spec;
  const pid = launchHolder(tools, spec);
  const exited = exits.watch(pid);
  return followHolder(tools, recordOrKill(), exited);

  function recordOrKill(): ProcessIdentity {
    try {
      const recorded = records.add(pid, what, tools.diesWithEngine ? undefined : keptDetails(spec.details));
      if (recorded !== undefined) return recorded;
    } catch (error) {
      launcher.tryCall("kill", [pid, linux.SIGKILL]);
      throw error;
    }
    throw endedAtOnce(what);
  }
}

/** Goes on with the holder of an earlier engine. */
export function followHolder(
  { launcher, exits, records }: HolderTools,
  identity: ProcessIdentity,
  exited: Promise<unknown>,
): Holder {
  const { pid } = identity;
  const gone = exited.then(() => records.remove(identity));
  return {
    pid,
    identity,
    exited: gone,
    async stop() {
      if (exits.isRunning(pid)) launcher.tryCall("kill", [pid, linux.SIGKILL]);
      await gone;
    },
  };
}

function launchHolder(
  { launcher, sleep, env, diesWithEngine }: HolderTools,
  { flags, build, cgroup, ends }: HolderSpec,
): number {
  const program = new Program();
  // First of all: an engine that is killed a moment from now should take this process along.
  if (diesWithEngine) program.call("prctl", [linux.PR_SET_PDEATHSIG, linux.SIGKILL, 0, 0, 0]);
  program.call("setsid", []);
  const joins = openJoins(cgroup);
  try {
    // As process 1 of a pod it inherits orphans: the kernel reaps the children of those who ignore SIGCHLD.
    program.call("rt_sigaction", [SIGCHLD, IGNORED, 0, SIGNAL_SET_BYTES]);
    build(program);
    // After the network has been made: that memory is not the pod's to pay for.
    joinCgroups(program, joins);
    letGoOfEngine(program, ends);
    program.call("execve", [sleep, ["sleep", FOR_EVER], [...env]]);
    return launcher.start(program, flags);
  } finally {
    for (const fd of joins) closeSync(fd);
  }
}

/** No file, terminal or folder of the engine stays open in the process. */
function letGoOfEngine(program: Program, ends: FdStore["ends"] | undefined): void {
  for (const [target, fd] of (ends ?? []).entries()) program.call("dup3", [fd, target, 0]);
  program.call("close_range", [ends?.length ?? 0, linux.MAX_FD, 0]).call("chdir", ["/"]);
  for (const name of ["stdin", "stdout", "stderr"].slice(ends?.length ?? 0)) {
    program.call("openat", [linux.AT_FDCWD, "/dev/null", linux.O_RDWR, 0], { name: `open ${name}` });
  }
}

function endedAtOnce(what: string): Problem {
  return new Problem({
    code: "E_HOLDER_ENDED",
    message: `Cannot hold the namespaces of ${what}: their process ended at once`,
    fix: "Look for a program or limit on this machine that ends processes, then try again",
  });
}
