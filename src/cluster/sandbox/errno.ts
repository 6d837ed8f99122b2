/** Names and texts of kernel errors, as people and the real container runtimes write them. */
import { constants } from "node:os";

const NAMES = new Map<number, string>(
  Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
);
// Two names share these numbers; keep the one that strace prints.
NAMES.set(constants.errno.EAGAIN, "EAGAIN");
NAMES.set(constants.errno.EOPNOTSUPP, "EOPNOTSUPP");

/** Texts of Go's syscall package, which runc and containerd print. */
const TEXTS: Readonly<Record<string, string>> = {
  E2BIG: "argument list too long",
  EACCES: "permission denied",
  EAGAIN: "resource temporarily unavailable",
  EBADF: "bad file descriptor",
  ECANCELED: "operation canceled",
  EBUSY: "device or resource busy",
  EEXIST: "file exists",
  EINVAL: "invalid argument",
  EIO: "input/output error",
  EISDIR: "is a directory",
  ELOOP: "too many levels of symbolic links",
  EMFILE: "too many open files",
  ENAMETOOLONG: "file name too long",
  ENFILE: "too many open files in system",
  ENODEV: "no such device",
  ENOENT: "no such file or directory",
  ENOEXEC: "exec format error",
  ENOMEM: "cannot allocate memory",
  ENOSPC: "no space left on device",
  ENOSYS: "function not implemented",
  ENOTDIR: "not a directory",
  ENXIO: "no such device or address",
  EOVERFLOW: "value too large for defined data type",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  ESRCH: "no such process",
  ETXTBSY: "text file busy",
  EXDEV: "invalid cross-device link",
};

/** `EPERM`; `errno 999` for numbers that have no name. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** `operation not permitted`; the name where there is no text. */
export function errnoText(errno: number): string {
  const name = errnoName(errno);
  return TEXTS[name] ?? name;
}
