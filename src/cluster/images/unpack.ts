/** Applies the layers of an image to one root file system: tar members, whiteouts, opaque folders (OCI image-spec, layer.md). */
import { ArchiveError } from "./archive-error.ts";
import { decompressed, limited } from "./byte-streams.ts";
import type { ByteStream } from "./byte-streams.ts";
import { SafeTree, cleanPath, nameOf, parentOf } from "./safe-tree.ts";
import type { Attributes } from "./safe-tree.ts";
import { readable } from "./tar-header.ts";
import { readTar } from "./tar-reader.ts";
import type { TarMember } from "./tar-reader.ts";

export interface UnpackLimits {
  /** Bytes of all layers together, unpacked. A decompression bomb ends here. */
  readonly maxBytes: number;
  /** Members of all layers together. */
  readonly maxMembers: number;
}

export const DEFAULT_LIMITS: UnpackLimits = { maxBytes: 64 * 2 ** 30, maxMembers: 4_000_000 };

/** What the tree does not have although the archive did. */
export interface Skipped {
  readonly devices: number;
  readonly fifos: number;
  /** Members of unknown type. */
  readonly others: number;
  /** Files that had capabilities (`security.capability`), which are not set. */
  readonly capabilities: number;
}

export interface Unpacked {
  /** Bytes of all files written; a file that a later layer replaces counts once. */
  readonly bytes: number;
  readonly skipped: Skipped;
  readonly ownershipKept: boolean;
}

export interface Unpacker {
  /** Unpacks the next layer: a tar stream, plain, gzip or zstd. `seen` gets the uncompressed bytes. */
  layer(source: ByteStream, seen?: (chunk: Uint8Array) => void): Promise<void>;
  /** Call once after the last layer. */
  finish(): Unpacked;
}

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** Bookkeeping of AUFS that old layers carry; no whiteouts. */
const AUFS_PREFIX = ".wh..wh.";
const IMPLIED: Attributes = { mode: 0o755, uid: 0, gid: 0, mtime: 0 };

/**
 * Unpacks layers into the empty folder `root`. A rejected `layer` leaves the folder half filled; the caller removes it.
 * Errors about the archive are `ArchiveError`, others are the file system's.
 */
export function unpackInto(root: string, limits: UnpackLimits = DEFAULT_LIMITS): Unpacker {
  const tree = new SafeTree(root);
  tree.folder("", IMPLIED);
  const state: State = {
    tree,
    limits,
    members: 0,
    inputBytes: 0,
    skipped: { devices: 0, fifos: 0, others: 0, capabilities: 0 },
  };
  return {
    layer: (source, seen) => applyLayer(state, source, seen),
    finish() {
      tree.finish();
      return { bytes: tree.bytes, skipped: { ...state.skipped }, ownershipKept: tree.ownershipKept };
    },
  };
}

interface State {
  readonly tree: SafeTree;
  readonly limits: UnpackLimits;
  readonly skipped: { -readonly [Key in keyof Skipped]: Skipped[Key] };
  members: number;
  inputBytes: number;
}

/** Paths that this layer itself made, with all their parents: whiteouts of the layer do not touch them. */
type OwnPaths = Set<string>;

async function applyLayer(
  state: State,
  source: ByteStream,
  seen?: (chunk: Uint8Array) => void,
): Promise<void> {
  const own: OwnPaths = new Set([""]);
  for await (const member of readTar(measured(state, decompressed(source), seen))) {
    state.members += 1;
    if (state.members > state.limits.maxMembers) {
      throw new ArchiveError(`the image has more than ${state.limits.maxMembers} files`);
    }
    try {
      await applyMember(state, own, member);
    } catch (because) {
      throw toArchiveError(because, member);
    }
  }
}

async function* measured(
  state: State,
  source: ByteStream,
  seen?: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  const left = state.limits.maxBytes - state.inputBytes;
  const message = `the image unpacks to more than ${state.limits.maxBytes} bytes`;
  for await (const chunk of limited(source, left, message)) {
    state.inputBytes += chunk.length;
    seen?.(chunk);
    yield chunk;
  }
}

async function applyMember(state: State, own: OwnPaths, member: TarMember): Promise<void> {
  const { tree, skipped } = state;
  const path = cleanPath(member.path);
  const name = nameOf(path);
  if (name.startsWith(WHITEOUT)) {
    whiteOut(tree, own, path);
    return;
  }
  if (path === "" && member.type !== "directory") {
    throw new ArchiveError(`the root of the image is a ${member.type}`);
  }
  checkOwner(member);
  makeParents(tree, own, path);
  if (member.attributes.includes("security.capability")) skipped.capabilities += 1;
  switch (member.type) {
    case "directory":
      tree.folder(path, member);
      break;
    case "file":
      await tree.file(path, member, member.body());
      break;
    case "symlink":
      if (member.linkPath === "") throw new ArchiveError(`"${readable(member.path)}" is a link to nothing`);
      tree.symlink(path, member.linkPath, member);
      break;
    case "hardlink":
      hardlink(tree, member, path);
      break;
    case "character device":
    case "block device":
      skipped.devices += 1;
      return;
    case "fifo":
      skipped.fifos += 1;
      return;
    case "other":
      skipped.others += 1;
      return;
  }
  remember(own, path);
}

/** Parents that the layer does not list are made; `own` tells links of this layer from entries of the layers below. */
function makeParents(tree: SafeTree, own: OwnPaths, path: string): void {
  for (const parent of parentsOf(path)) {
    if (tree.isFolder(parent)) continue;
    const found = tree.lstat(parent);
    if (found !== undefined && own.has(parent)) {
      const what = found.isSymbolicLink() ? "the symbolic link" : "the file";
      throw new ArchiveError(`"${readable(path)}" goes through ${what} "${readable(parent)}"`);
    }
    // An entry of a lower layer that is no folder is hidden by the folder, as an overlay would.
    tree.folder(parent, IMPLIED);
  }
}

/** Removes what lower layers put at the path, or in the whole folder; never what this layer put there. */
function whiteOut(tree: SafeTree, own: OwnPaths, path: string): void {
  const parent = parentOf(path);
  const name = nameOf(path);
  if (![...parentsOf(path)].every((folder) => tree.isFolder(folder))) return;
  if (name === OPAQUE) {
    for (const child of tree.list(parent)) removeLower(tree, own, join(parent, child));
    return;
  }
  if (name.startsWith(AUFS_PREFIX)) return;
  const hidden = name.slice(WHITEOUT.length);
  if (hidden === "" || hidden === "." || hidden === "..") {
    throw new ArchiveError(`"${readable(path)}" is not a whiteout`);
  }
  removeLower(tree, own, join(parent, hidden));
}

function removeLower(tree: SafeTree, own: OwnPaths, path: string): void {
  if (!own.has(path)) tree.remove(path);
  else if (tree.isFolder(path)) {
    for (const child of tree.list(path)) removeLower(tree, own, join(path, child));
  }
}

function hardlink(tree: SafeTree, member: TarMember, path: string): void {
  const target = cleanPath(member.linkPath);
  const isReachable = [...parentsOf(target)].every((folder) => tree.isFolder(folder));
  const found = isReachable ? tree.lstat(target) : undefined;
  if (target === "" || found === undefined || found.isDirectory()) {
    const names = `"${readable(member.path)}" is a hard link to "${readable(member.linkPath)}"`;
    throw new ArchiveError(`${names}, which is not a file of the image`);
  }
  tree.hardlink(path, target);
}

function checkOwner({ uid, gid, path }: TarMember): void {
  for (const id of [uid, gid]) {
    // 4294967295 is -1 to chown(2): leave the owner as it is.
    if (id < 0 || id >= 4_294_967_295)
      throw new ArchiveError(`"${readable(path)}" has the owner ${uid}:${gid}`);
  }
}

function remember(own: OwnPaths, path: string): void {
  own.add(path);
  for (const parent of parentsOf(path)) own.add(parent);
}

/** `a`, `a/b` for `a/b/c`. */
function* parentsOf(path: string): Generator<string> {
  for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1))
    yield path.slice(0, slash);
}

function join(parent: string, name: string): string {
  return parent === "" ? name : `${parent}/${name}`;
}

const NAME_ERRORS: ReadonlySet<unknown> = new Set(["ENAMETOOLONG", "EINVAL", "EILSEQ", "EMLINK"]);

/** What the file system says about a name is the archive's fault; a full disk is not. */
function toArchiveError(because: unknown, member: TarMember): unknown {
  if (!(because instanceof Error) || !("code" in because) || !NAME_ERRORS.has(because.code)) return because;
  return new ArchiveError(`"${readable(member.path)}" cannot be written: ${because.message}`, {
    cause: because,
  });
}
