/** Terminals of containers: pairs of a container's own devpts, so that `tty` in there names a file that exists. */
import { closeSync, fchownSync, fstatSync, openSync } from "node:fs";
import { ptr } from "bun:ffi";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { openInRoot } from "./open-inside.ts";
import type { TerminalSize } from "./process-io.ts";

const MAX_SIZE = 0xffff;
/** `struct termios` of the kernel: four words of flags, the line discipline, then the control characters. */
const TERMIOS_BYTES = 64;
const CONTROL_CHARACTERS = 17;
const VEOF = 4;

export interface Terminal {
  /** The engine's end, non-blocking. */
  readonly master: number;
  /** The program's end. */
  readonly slave: number;
  resize(size: TerminalSize): void;
  /** The character that means end-of-file at this moment; empty when there is none. */
  endOfFile(): Uint8Array;
  /** Closes the engine's copy of the program's end. Idempotent. */
  closeSlave(): void;
  /** Hangs up: the session that has this terminal gets SIGHUP. Idempotent. */
  close(): void;
}

/** A terminal of a running container. Throws `SyscallError`, also when /dev/pts in there is not what it was. */
export function openTerminalOf(launcher: Launcher, pid: number, uid: number): Terminal {
  const root = openSync(`/proc/${pid}/root`, linux.O_PATH | linux.O_DIRECTORY | linux.O_CLOEXEC);
  try {
    return openTerminal(launcher, { root, path: "dev/pts/ptmx", uid });
  } finally {
    closeSync(root);
  }
}

/** A terminal of a devpts; `root` is a folder, and paths in it never lead out. Throws `SyscallError`. */
export function openTerminal(
  launcher: Launcher,
  { root, path, uid }: { readonly root: number; readonly path: string; readonly uid: number },
): Terminal {
  const flags = linux.O_RDWR | linux.O_NOCTTY | linux.O_NONBLOCK;
  const master = openInRoot(launcher, root, { path, flags });
  let slave: number | undefined;
  try {
    launcher.call("ioctl", [master, linux.TIOCSPTLCK, new Uint8Array(4)]);
    slave = launcher.call("ioctl", [
      master,
      linux.TIOCGPTPEER,
      linux.O_RDWR | linux.O_NOCTTY | linux.O_CLOEXEC,
    ]);
    if (uid !== 0) fchownSync(slave, uid, fstatSync(slave).gid);
    return new KernelTerminal(launcher, master, slave);
  } catch (error) {
    closeSync(master);
    if (slave !== undefined) closeSync(slave);
    throw error;
  }
}

/** The two ends of a terminal that is open already, owned from now on. */
export function terminalOf(launcher: Launcher, master: number, slave: number): Terminal {
  return new KernelTerminal(launcher, master, slave);
}

class KernelTerminal implements Terminal {
  readonly master: number;
  readonly slave: number;
  readonly #launcher: Launcher;
  #hasSlave = true;
  #isOpen = true;

  constructor(launcher: Launcher, master: number, slave: number) {
    this.#launcher = launcher;
    this.master = master;
    this.slave = slave;
  }

  resize({ width, height }: TerminalSize): void {
    if (!this.#isOpen) return;
    const size = Uint16Array.of(clamp(height), clamp(width), 0, 0);
    this.#launcher.tryCall("ioctl", [this.master, linux.TIOCSWINSZ, new Uint8Array(size.buffer)]);
  }

  endOfFile(): Uint8Array {
    const settings = new Uint8Array(TERMIOS_BYTES);
    if (!this.#isOpen || this.#launcher.tryCall("ioctl", [this.master, linux.TCGETS, ptr(settings)]) < 0)
      return settings.subarray(0, 0);
    const character = settings.subarray(CONTROL_CHARACTERS + VEOF, CONTROL_CHARACTERS + VEOF + 1);
    return character[0] === 0 ? character.subarray(1) : character;
  }

  closeSlave(): void {
    if (!this.#hasSlave) return;
    this.#hasSlave = false;
    closeSync(this.slave);
  }

  close(): void {
    this.closeSlave();
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.master);
  }
}

function clamp(size: number): number {
  return Math.min(Math.max(Math.trunc(size), 0), MAX_SIZE) || 0;
}
