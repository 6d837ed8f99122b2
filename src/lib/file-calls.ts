/** The few calls on files that the runtime's own file system module lacks. They answer "no" where the system does not know them. */
import { fstatSync, statSync } from "node:fs";
import { openLibc } from "./libc.ts";

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const SEEK_DATA = 3;
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_UNLCK = 2;
/** Ignored unless a program asks for it. The default for a broken lease, SIGIO, would end the process. */
const SIGURG = 23;

type FileCalls = ReturnType<typeof load>;
let loaded: FileCalls | undefined;

/** Gives the blocks of a part of a file back to the file system; its size stays. False where that is not possible. Needs a descriptor that may write. */
export function punchHole(fd: number, from: number, length: number): boolean {
  return calls()?.fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, from, length) === 0;
}

/** Offset of the first byte at or behind `from` that is not in a hole; undefined when only holes follow or nobody knows. */
export function nextData(fd: number, from: number): number | undefined {
  const at = Number(calls()?.lseek(fd, from, SEEK_DATA) ?? -1);
  return at < 0 ? undefined : at;
}

/**
 * Whether any process of this machine has the file open for writing: the kernel grants a read lease (fcntl(2)) only where none
 * has. `fd` has to be open for reading only. Undefined where the kernel does not say (another user's file, no leases there).
 */
export function hasWriter(fd: number): boolean | undefined {
  const fcntl = calls()?.fcntl;
  if (fcntl === undefined || !mayLease(fd) || fcntl(fd, F_SETSIG, SIGURG) !== 0) return undefined;
  if (fcntl(fd, F_SETLEASE, F_RDLCK) !== 0) return true;
  fcntl(fd, F_SETLEASE, F_UNLCK);
  return false;
}

/** Only a file's owner may, and root as a rule. */
function mayLease(fd: number): boolean {
  const { uid } = statSync("/proc/self");
  return uid === 0 || fstatSync(fd).uid === uid;
}

function calls(): FileCalls {
  loaded ??= load();
  return loaded;
}

function load() {
  return openLibc({
    lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
    fallocate: { args: ["i32", "i32", "i64", "i64"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  });
}
