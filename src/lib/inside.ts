/** Works on paths below a folder that untrusted programs write to: no symlink and no `..` leads out of it. */
import {
  closeSync,
  constants,
  fchmodSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";

/** As many links as Linux follows in one path. */
const MAX_LINKS = 40;
const FOLDER_ONLY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** The names of a path in order; `.` and empty ones are dropped. Throws a RangeError for `..` and NUL. */
export function segmentsOf(path: string): string[] {
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..") || path.includes("\0"))
    throw new RangeError(`Path ${JSON.stringify(path)} must not contain ".." or NUL`);
  return segments;
}

export interface Found {
  /** Relative to the root, free of symlinks. Empty for the root itself. */
  readonly path: string;
  /** Absent when nothing is there; then `path` is where it would be. */
  readonly stats?: Stats;
}

export interface FindOptions {
  /** False: a link that is absolute or climbs above the root is a RangeError. @default {true} */
  readonly mayLeave?: boolean;
}

/**
 * Finds a path as a program would that has `root` as its root folder: absolute links start at `root`, `..` stops there.
 * What other programs change meanwhile may make the answer stale, never lead out: open the result with `openFolderInside`.
 */
export function findInside(root: string, path: string, { mayLeave = true }: FindOptions = {}): Found {
  const pending = segmentsOf(path);
  let walked: string[] = [];
  let stats: Stats | undefined = lstatSync(root);
  for (let links = 0; pending.length > 0;) {
    const name = pending.shift() ?? "";
    if (name === "." || name === "") continue;
    if (name === "..") {
      if (!mayLeave && walked.length === 0) throw leavesRoot(path);
      walked.pop();
      continue;
    }
    const at = join(root, ...walked, name);
    stats = lstatSync(at, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink() === true) {
      if (++links > MAX_LINKS) throw new RangeError(`Too many levels of symbolic links in "${path}"`);
      const target = readlinkSync(at);
      if (!mayLeave && target.startsWith("/")) throw leavesRoot(path);
      if (target.startsWith("/")) walked = [];
      pending.unshift(...target.split("/"));
      continue;
    }
    walked.push(name);
    if (stats === undefined) {
      const rest = pending.filter((segment) => segment !== "" && segment !== ".");
      if (rest.includes("..")) throw new RangeError(`Path "${path}" leads through a folder that is missing`);
      return { path: [...walked, ...rest].join("/") };
    }
  }
  return { path: walked.join("/"), stats: lstatSync(join(root, ...walked)) };
}

function leavesRoot(path: string): RangeError {
  return new RangeError(`Path ${JSON.stringify(path)} leads out of its folder`);
}

/**
 * Opens a folder below `root`, and makes what is missing when `mode` is given (the mode is exact, whatever the umask).
 * Every step goes through the descriptor of the one before, so a folder that is swapped for a symlink meanwhile is refused
 * (ELOOP or ENOTDIR). The caller closes the descriptor.
 */
export function openFolderInside(root: string, path: string, mode?: number): number {
  let folder = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const segment of segmentsOf(path)) {
      const next = openChildFolder(folder, segment, mode);
      closeSync(folder);
      folder = next;
    }
    return folder;
  } catch (error) {
    closeSync(folder);
    throw error;
  }
}

/** The path of an entry of an open folder, for calls that take paths only. */
export function childOf(folder: number, name: string): string {
  return `/proc/self/fd/${folder}/${name}`;
}

/** Makes the folders of a path below `root` that are missing. */
export function makeFolderInside(root: string, path: string, mode: number): void {
  closeSync(openFolderInside(root, path, mode));
}

function openChildFolder(parent: number, name: string, mode: number | undefined): number {
  const at = childOf(parent, name);
  if (mode === undefined) return openSync(at, FOLDER_ONLY);
  const isNew = lstatSync(at, { throwIfNoEntry: false }) === undefined;
  if (isNew) mkdirSync(at, { mode: mode & 0o777 });
  const child = openSync(at, FOLDER_ONLY);
  if (isNew) fchmodSync(child, mode);
  return child;
}
