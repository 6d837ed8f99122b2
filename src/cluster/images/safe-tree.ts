/**
 * Writes the members of untrusted archives below one folder and nowhere else.
 *
 * Every parent of a path is looked at itself (lstat) before anything is made in it, and nothing but this object writes
 * to the folder meanwhile: no symbolic link is ever followed. Paths are byte strings, one character per byte, relative
 * to the folder, without empty, `.` or `..` parts.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  write,
  writeSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { ArchiveError } from "./archive-error.ts";
import { readable } from "./tar-header.ts";

export interface Attributes {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  /** Seconds since the Unix epoch. */
  readonly mtime: number;
}

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Chunks from here on are written off the JavaScript thread: a full disk cache makes a write wait. */
const LARGE_WRITE_BYTES = 64 * 1024;
const SET_ID_BITS = 0o6000;

export class SafeTree {
  readonly #root: Buffer;
  /** Folders known to be folders; emptied when something is removed. */
  #folders = new Set<string>([""]);
  /** Folders get their mode and time last: a read-only one could not be filled, and filling changes the time. */
  readonly #finish = new Map<string, { readonly mode: number; readonly mtime: number }>();
  #ownershipKept = true;
  #bytes = 0;

  /** `root` exists and is empty. */
  constructor(root: string) {
    this.#root = Buffer.from(root);
  }

  /** False once an owner could not be set: the user namespace does not have that id, or we are not root. */
  get ownershipKept(): boolean {
    return this.#ownershipKept;
  }

  /** Bytes of all files in the tree; one with several names counts once. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The entry itself, never what a link points to. */
  lstat(path: string): Stats | undefined {
    return lstatSync(this.#full(path), { throwIfNoEntry: false });
  }

  list(path: string): readonly string[] {
    return readdirSync(this.#full(path), { encoding: "buffer" }).map((name) => name.toString("latin1"));
  }

  isFolder(path: string): boolean {
    if (this.#folders.has(path)) return true;
    if (this.lstat(path)?.isDirectory() !== true) return false;
    this.#folders.add(path);
    return true;
  }

  /** Makes a folder or gives an existing one new attributes. Whatever else is there is replaced. */
  folder(path: string, attributes: Attributes): void {
    if (!this.isFolder(path)) {
      this.remove(path);
      mkdirSync(this.#full(path), 0o700);
      this.#folders.add(path);
    }
    const kept = this.#own(() => lchownSync(this.#full(path), attributes.uid, attributes.gid));
    const mode = kept ? attributes.mode : attributes.mode & ~SET_ID_BITS;
    this.#finish.set(path, { mode, mtime: within(attributes.mtime) });
  }

  /** Makes a file with this content; replaces what is there. */
  async file(path: string, attributes: Attributes, content: AsyncIterable<Uint8Array>): Promise<void> {
    this.remove(path);
    const file = openSync(this.#full(path), NEW_FILE, 0o600);
    try {
      for await (const chunk of content) {
        await writeWhole(file, chunk);
        this.#bytes += chunk.length;
      }
      const kept = this.#own(() => fchownSync(file, attributes.uid, attributes.gid));
      // After the owner: changing the owner clears setuid and setgid.
      fchmodSync(file, kept ? attributes.mode : attributes.mode & ~SET_ID_BITS);
      futimesSync(file, within(attributes.mtime), within(attributes.mtime));
    } finally {
      closeSync(file);
    }
  }

  /** Makes a symbolic link with exactly this target, which is not looked at. */
  symlink(path: string, target: string, attributes: Attributes): void {
    this.remove(path);
    symlinkSync(Buffer.from(target, "latin1"), this.#full(path));
    this.#own(() => lchownSync(this.#full(path), attributes.uid, attributes.gid));
    lutimesSync(this.#full(path), within(attributes.mtime), within(attributes.mtime));
  }

  /** Makes a second name for an existing entry that is no folder; link(2) does not follow a symbolic link. */
  hardlink(path: string, existing: string): void {
    if (path === existing) return;
    this.remove(path);
    linkSync(this.#full(existing), this.#full(path));
  }

  /** Removes whatever is at `path`, with all that is below it. */
  remove(path: string): void {
    const found = this.lstat(path);
    if (found === undefined) return;
    if (!found.isDirectory()) {
      unlinkSync(this.#full(path));
      if (found.isFile() && found.nlink === 1) this.#bytes -= found.size;
      return;
    }
    this.#folders = new Set([""]);
    chmodSync(this.#full(path), 0o700);
    for (const name of this.list(path)) this.remove(path === "" ? name : `${path}/${name}`);
    if (path === "") return;
    rmdirSync(this.#full(path));
    this.#finish.delete(path);
  }

  /** Gives all folders their final mode and time. */
  finish(): void {
    // Children first: a folder without the search bit hides what is below it.
    const deepestFirst = [...this.#finish].toSorted(([a], [b]) => b.length - a.length);
    for (const [path, { mode, mtime }] of deepestFirst) {
      const full = this.#full(path);
      lutimesSync(full, mtime, mtime);
      chmodSync(full, mode);
    }
  }

  #full(path: string): Buffer {
    return path === "" ? this.#root : Buffer.concat([this.#root, SLASH, Buffer.from(path, "latin1")]);
  }

  /** True when the owner could be set. */
  #own(change: () => void): boolean {
    try {
      change();
      return true;
    } catch (because) {
      const code = because instanceof Error && "code" in because ? because.code : undefined;
      if (code !== "EPERM" && code !== "EINVAL") throw because;
      this.#ownershipKept = false;
      return false;
    }
  }
}

const SLASH = Buffer.from("/");

/** Parts of a member's name as a clean relative path; empty for the root itself. Throws `ArchiveError`. */
export function cleanPath(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new ArchiveError(`"${readable(name)}" leads out of the image`);
  if (name.includes("\0")) throw new ArchiveError(`"${readable(name)}" is not a file name`);
  const path = parts.join("/");
  if (path.length > 4000 || parts.some((part) => part.length > 255)) {
    throw new ArchiveError(`"${readable(name)}" is longer than a file name can be`);
  }
  return path;
}

/** The folder part of a clean path. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? "" : path.slice(0, slash);
}

/** The last part of a clean path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

async function writeWhole(file: number, chunk: Uint8Array): Promise<void> {
  let at = 0;
  while (at < chunk.length) {
    at += chunk.length < LARGE_WRITE_BYTES ? writeSync(file, chunk, at) : await writeSome(file, chunk, at);
  }
}

function writeSome(file: number, chunk: Uint8Array, offset: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  write(file, chunk, offset, chunk.length - offset, null, (error, written) => {
    if (error === null) resolve(written);
    else reject(error);
  });
  return promise;
}

/** A time that every file system takes; what lies outside is moved to the edge. */
function within(seconds: number): number {
  return Math.min(Math.max(seconds, -(2 ** 31)), 2 ** 32 - 1);
}
