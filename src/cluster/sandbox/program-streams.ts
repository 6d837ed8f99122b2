/** Standard input, output and error of a program in a container. */
import * as linux from "./linux-constants.ts";
import { OPEN_HOW_BYTES, openHow } from "./open-inside.ts";
import type { Program, Slot } from "./program.ts";

const EINVAL = 22;
/** A pipe that the container put in the place of /dev/null must not hold up the engine. */
const READ_AT_ONCE = openHow({
  flags: linux.O_RDONLY | linux.O_NONBLOCK,
  resolve: linux.RESOLVE_NO_MAGICLINKS,
});

/** Descriptors of the engine. */
export interface ProgramStreams {
  /** Without, the program reads the container's /dev/null. */
  readonly stdin: number | undefined;
  readonly stdout: number;
  readonly stderr: number;
  /** The three are one terminal, which becomes that of the program's session. */
  readonly isTerminal: boolean;
}

/** The container's root is `/` by now. */
export function connectStreams(program: Program, { stdin, stdout, stderr }: ProgramStreams): void {
  let input: number | Slot;
  if (stdin === undefined) {
    input = program.slot();
    program.call("openat2", [linux.AT_FDCWD, "/dev/null", READ_AT_ONCE, OPEN_HOW_BYTES], {
      save: input,
      name: "open /dev/null",
    });
  } else {
    input = stdin;
  }
  // dup3 refuses to copy a descriptor onto itself; one of ours is never 0, 1 or 2, except when the engine has none of them.
  program
    .call("dup3", [input, 0, 0], { ignore: EINVAL })
    .call("dup3", [stdout, 1, 0])
    .call("dup3", [stderr, 2, 0]);
}

/** After `setsid`, in the process that stays. */
export function takeTerminal(program: Program, { isTerminal }: ProgramStreams): void {
  if (isTerminal) program.call("ioctl", [0, linux.TIOCSCTTY, 0], { name: "ioctl(TIOCSCTTY)" });
}
