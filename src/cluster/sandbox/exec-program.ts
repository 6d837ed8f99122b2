/** The system calls that put one more program beside process 1 of a container. */
import { becomeUser, dieWithEngine, type UserParts } from "./become-user.ts";
import { joinCgroups } from "./cgroups/join-cgroup.ts";
import { setOomScore, type ContainerProgram } from "./container-program.ts";
import { addExec } from "./exec-plan.ts";
import * as linux from "./linux-constants.ts";
import { HOLD_FOLDER, OPEN_HOW_BYTES } from "./open-inside.ts";
import { Program } from "./program.ts";
import { connectStreams, takeTerminal, type ProgramStreams } from "./program-streams.ts";

const ALL_NAMESPACES =
  linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS | linux.CLONE_NEWPID;

export interface ExecParts extends UserParts {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** A pidfd of the container's process 1. */
  readonly target: number;
  /** Files of the control groups to be in, open for writing. */
  readonly joins: readonly number[];
  readonly streams: ProgramStreams;
  /** Somebody in the container may trace the program from its first moment on. */
  readonly isTraceable: boolean;
}

/** For a child without new namespaces. */
export function execProgram(parts: ExecParts): ContainerProgram {
  const program = new Program();
  const { spec, target, streams } = parts;
  joinCgroups(program, parts.joins);
  // Process 1 has one of its own where there are groups to join.
  const cgroupNamespace = parts.joins.length > 0 ? linux.CLONE_NEWCGROUP : 0;
  // By the engine's /proc: in the container's this process does not exist.
  setOomScore(program, spec);
  program
    .call("setns", [target, ALL_NAMESPACES | cgroupNamespace], { name: "setns(container)" })
    // No key of the engine's session keyring is the container's.
    .call("keyctl", [linux.KEYCTL_JOIN_SESSION_KEYRING, 0], { ignore: "all" });
  enterWorkingDir(program, spec.workingDir === "" ? "/" : spec.workingDir);
  connectStreams(program, streams);
  program.closeFiles();
  becomeUser(program, parts);
  // Until execve the next process shares the engine's memory where the container's processes can see it.
  program
    .call("prctl", [linux.PR_SET_DUMPABLE, 0, 0, 0, 0])
    .fork({ copiesMemory: parts.isTraceable })
    .call("setsid", []);
  takeTerminal(program, streams);
  // Even where the container lives on: nobody could hear it any more.
  dieWithEngine(program);
  return { program, exec: addExec(program, parts, parts.user.home) };
}

function enterWorkingDir(program: Program, path: string): void {
  const folder = program.slot();
  const name = `chdir to cwd ("${path}")`;
  program
    .call("openat2", [linux.AT_FDCWD, path, HOLD_FOLDER, OPEN_HOW_BYTES], { save: folder, name })
    .call("fchdir", [folder], { name });
}
