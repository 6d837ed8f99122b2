/** Prepares the top of a host-root container: which of this machine's folders it gets, overlaid, split up or empty. */
import {
  chmodSync,
  copyFileSync,
  type Dirent,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { readSubmounts, type Submount } from "./host-submounts.ts";
import type { HostView } from "./host-view.ts";
import { makeFolderLike, makeOverlayFolders, type Scratch } from "./root-layers.ts";

/** Empty in every container, with these modes: home folders, other people's sockets and files, removable media. */
export const PRIVATE_FOLDERS: ReadonlyMap<string, number> = new Map([
  ["home", 0o755],
  ["media", 0o755],
  ["mnt", 0o755],
  ["root", 0o700],
  ["run", 0o755],
  ["tmp", 0o1777],
]);
/** Mounted by the program for every container. */
export const PSEUDO_FOLDERS: readonly string[] = ["dev", "proc", "sys"];
/** Of no use in a container. */
const SKIPPED = ["lost+found"];
/** A folder with more entries is shown read-only instead of being split up: each part is a mount. */
const MAX_PARTS = 150;
/** `/usr/local`, `/var/lib/mysql`; deeper ones are other programs' containers and volumes. */
const MAX_DISK_DEPTH = 3;
/** Files in a folder that is split up are copied; larger ones are left out. */
const MAX_COPIED_BYTES = 256 * 1024;

interface Tree {
  readonly scratch: Scratch;
  readonly view: HostView;
  /** Below the cluster's folder everything is ours and hidden. */
  readonly submounts: readonly Submount[];
}

export function makeTopLevel(scratch: Scratch, view: HostView, stateDir: string): void {
  const submounts = readSubmounts().filter(({ path }) => !isBelow(path, stateDir) && path !== stateDir);
  const tree: Tree = { scratch, view, submounts };
  const root = join(scratch.path, "root");
  for (const name of PSEUDO_FOLDERS) mkdirSync(join(root, name));
  for (const entry of readdirSync("/", { withFileTypes: true })) {
    const { name } = entry;
    if (PSEUDO_FOLDERS.includes(name) || SKIPPED.includes(name)) continue;
    if (entry.isSymbolicLink()) symlinkSync(readlinkSync(`/${name}`), join(root, name));
    else if (entry.isDirectory() && !PRIVATE_FOLDERS.has(name)) addFolder(tree, `/${name}`);
  }
  for (const [name, mode] of PRIVATE_FOLDERS) {
    if (isSymlink(`/${name}`)) continue;
    mkdirSync(join(root, name));
    chmodSync(join(root, name), mode);
    view.addPlain(`/${name}`);
  }
  // Programs expect it where /var/lock leads; on a machine it is made at boot.
  mkdirSync(join(root, "run/lock"));
  chmodSync(join(root, "run/lock"), 0o1777);
}

export function isSymlink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/**
 * As root, an overlay, and another one for each file system below. In a user namespace the kernel refuses to overlay a
 * folder with mounts below, because it would uncover what they cover: such a folder is put together from its parts.
 */
function addFolder(tree: Tree, path: string): void {
  const { scratch, submounts } = tree;
  const below = submounts.filter((submount) => isBelow(submount.path, path));
  makeFolderLike(scratch, join(scratch.path, "root", path), path);
  if (scratch.isUserNamespace && below.length > 0) {
    addParts(tree, path);
    return;
  }
  addOverlay(tree, path);
  for (const submount of below) {
    const isOurs = submount.path.split("/").length <= MAX_DISK_DEPTH + 1;
    if (submount.isDisk && isOurs && lstatSync(submount.path).isDirectory()) addOverlay(tree, submount.path);
  }
}

function addOverlay({ scratch, view }: Tree, path: string): void {
  const name = `top-${view.layers.length}`;
  makeOverlayFolders(scratch, name, path);
  view.add({ kind: "overlay", path, lower: path, name });
}

function addParts(tree: Tree, path: string): void {
  const entries = listing(path);
  if (entries.length > MAX_PARTS) {
    tree.view.add({ kind: "bind", path, lower: path });
    return;
  }
  for (const entry of entries) addPart(tree, join(path, entry.name), entry);
}

function addPart(tree: Tree, path: string, entry: Dirent): void {
  const { scratch, view, submounts } = tree;
  const target = join(scratch.path, "root", path);
  const mounted = submounts.findLast((submount) => submount.path === path);
  if (entry.isSymbolicLink()) {
    symlinkSync(readlinkSync(path), target);
  } else if (entry.isFile()) {
    copySmall(path, target);
  } else if (entry.isDirectory()) {
    if (mounted === undefined) return addFolder(tree, path);
    makeFolderLike(scratch, target, path);
    // A whole file system of this machine; what else is mounted there (sockets, control files) stays away.
    if (mounted.isDisk) view.add({ kind: "bind", path, lower: path });
  }
}

function copySmall(from: string, to: string): void {
  const { size, mode } = lstatSync(from);
  if (size > MAX_COPIED_BYTES) return;
  try {
    copyFileSync(from, to);
  } catch {
    // Not for this user to read, on the machine or here.
    return;
  }
  chmodSync(to, mode & 0o7777);
}

/** Nothing for a folder that this user may not list. */
function listing(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}
