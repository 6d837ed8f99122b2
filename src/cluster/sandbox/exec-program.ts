/** The system calls that put one more program beside process 1 of a container. */
import { becomeUser, dieWithEngine, type UserParts } from "./become-user.ts";
import { joinCgroups } from "./cgroups/join-cgroup.ts";
import { setOomScore, type ContainerProgram } from "./container-program.ts";
import { addExec } from "./exec-plan.ts";
import * as linux from "./linux-constants.ts";
import { HOLD_FOLDER, OPEN_HOW_BYTES, openHow } from "./open-inside.ts";
import { Program } from "./program.ts";

const EINVAL = 22;
const ALL_NAMESPACES =
  linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS | linux.CLONE_NEWPID;
/** A pipe that the container put in the place of /dev/null must not hold up the engine. */
const READ_AT_ONCE = openHow({
  flags: linux.O_RDONLY | linux.O_NONBLOCK,
  resolve: linux.RESOLVE_NO_MAGICLINKS,
});

export interface ExecParts extends UserParts {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** A pidfd of the container's process 1. */
  readonly target: number;
  /** Files of the control groups to be in, open for writing. */
  readonly joins: readonly number[];
  readonly streams: ExecStreams;
  /** SIGKILL when the engine's thread ends. */
  readonly diesWithEngine: boolean;
}

/** Descriptors of the engine. */
export interface ExecStreams {
  /** Without, the program reads the container's /dev/null. */
  readonly stdin: number | undefined;
  readonly stdout: number;
  readonly stderr: number;
  /** The three are one terminal, which becomes that of the program's session. */
  readonly isTerminal: boolean;
}

/** For a child without new namespaces. */
export function execProgram(parts: ExecParts): ContainerProgram {
  const program = new Program();
  const { spec, target, streams } = parts;
  joinCgroups(program, parts.joins);
  // By the engine's /proc: in the container's this process does not exist.
  setOomScore(program, spec);
  program
    .call("setns", [target, ALL_NAMESPACES], { name: "setns(container)" })
    // No key of the engine's session keyring is the container's.
    .call("keyctl", [linux.KEYCTL_JOIN_SESSION_KEYRING, 0], { ignore: "all" });
  enterWorkingDir(program, spec.workingDir === "" ? "/" : spec.workingDir);
  connectStreams(program, streams);
  program.call("close_range", [3, linux.MAX_FD, 0]);
  becomeUser(program, parts);
  // Until execve the next process shares the engine's memory where the container's processes can see it.
  program.call("prctl", [linux.PR_SET_DUMPABLE, 0, 0, 0, 0]).fork().call("setsid", []);
  if (streams.isTerminal) program.call("ioctl", [0, linux.TIOCSCTTY, 0], { name: "ioctl(TIOCSCTTY)" });
  if (parts.diesWithEngine) dieWithEngine(program);
  return { program, exec: addExec(program, parts, parts.user.home) };
}

function enterWorkingDir(program: Program, path: string): void {
  const folder = program.slot();
  const name = `chdir to cwd ("${path}")`;
  program
    .call("openat2", [linux.AT_FDCWD, path, HOLD_FOLDER, OPEN_HOW_BYTES], { save: folder, name })
    .call("fchdir", [folder], { name });
}

function connectStreams(program: Program, { stdin, stdout, stderr }: ExecStreams): void {
  let input: number | { readonly slot: number };
  if (stdin === undefined) {
    input = program.slot();
    program.call("openat2", [linux.AT_FDCWD, "/dev/null", READ_AT_ONCE, OPEN_HOW_BYTES], {
      save: input,
      name: "open /dev/null",
    });
  } else {
    input = stdin;
  }
  // dup3 refuses to copy a descriptor onto itself.
  program
    .call("dup3", [input, 0, 0], { ignore: EINVAL })
    .call("dup3", [stdout, 1, 0])
    .call("dup3", [stderr, 2, 0]);
}
