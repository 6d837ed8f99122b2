/**
 * Ops that put mounts and folders into a container's root after it has become `/`: every path is resolved in there, links of
 * the image included, and magic links of /proc, which would lead out, are refused.
 */
import { normalize } from "node:path";
import { MOUNT_ATTRIBUTES_BYTES, mountAttributes } from "./detached-mount.ts";
import * as linux from "./linux-constants.ts";
import { HOLD, HOLD_FOLDER, OPEN_HOW_BYTES } from "./open-inside.ts";
import type { Argument, Program, Slot } from "./program.ts";

const ENOENT = 2;
const EEXIST = 17;
const ENOTDIR = 20;
const CREATE_FILE = linux.O_CREAT | linux.O_EXCL | linux.O_WRONLY | linux.O_CLOEXEC;

/** Clones the tree at a path of the engine's side, before the switch. */
export function detachedTree(program: Program, path: string, attributes: number): Slot {
  const tree = program.slot();
  const flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_RECURSIVE;
  program
    .call("open_tree", [linux.AT_FDCWD, path, flags], { save: tree })
    .call("mount_setattr", [
      tree,
      "",
      linux.AT_EMPTY_PATH | linux.AT_RECURSIVE,
      mountAttributes(attributes),
      MOUNT_ATTRIBUTES_BYTES,
    ]);
  return tree;
}

export interface Attachment {
  /** A detached mount. */
  readonly mount: Argument;
  readonly target: string;
  readonly isFolder: boolean;
  /** What errors say, such as `error mounting "/src" to rootfs at "/target"`. */
  readonly name: string;
}

/** Attaches a mount; makes its target, and folders on the way, where they are missing. */
export function attachMount(program: Program, { mount, target, isFolder, name }: Attachment): void {
  const path = insidePath(target);
  const how = isFolder ? HOLD_FOLDER : HOLD;
  const held = program.slot();
  const found = program.label();
  holdOr(program, { path, how, held, name, onSuccess: found });
  const parent = makeFolders(program, isFolder ? path : path.slice(0, path.lastIndexOf("/")) || "/", name);
  if (!isFolder) makeFile(program, { parent, file: path.slice(path.lastIndexOf("/") + 1), name });
  program.call("openat2", [linux.AT_FDCWD, path, how, OPEN_HOW_BYTES], { save: held, name });
  program.place(found);
  if (!isFolder) refuseFolder(program, path, name);
  const flags = linux.MOVE_MOUNT_F_EMPTY_PATH | linux.MOVE_MOUNT_T_EMPTY_PATH;
  program.call("move_mount", [mount, "", held, "", flags], { name });
}

/** Holds a folder of the container, made where it is missing. */
export function makeFolder(program: Program, folder: string, name: string): Slot {
  const path = insidePath(folder);
  const held = program.slot();
  const found = program.label();
  holdOr(program, { path, how: HOLD_FOLDER, held, name, onSuccess: found });
  makeFolders(program, path, name);
  program.call("openat2", [linux.AT_FDCWD, path, HOLD_FOLDER, OPEN_HOW_BYTES], { save: held, name });
  program.place(found);
  return held;
}

function insidePath(path: string): string {
  const normal = normalize(`/${path}`);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

interface Hold {
  readonly path: string;
  readonly how: Uint8Array;
  readonly held: Slot;
  readonly name: string;
  readonly onSuccess: ReturnType<Program["label"]>;
}

/** Goes on at `onSuccess` when the path is there, with the next op when it is not. */
function holdOr(program: Program, { path, how, held, name, onSuccess }: Hold): void {
  program.call("openat2", [linux.AT_FDCWD, path, how, OPEN_HOW_BYTES], {
    save: held,
    ignore: ENOENT,
    name,
    onSuccess,
  });
}

/** Makes every folder of `path` that is missing and holds the last one. */
function makeFolders(program: Program, path: string, name: string): Slot {
  let parent = program.slot();
  program.call("openat2", [linux.AT_FDCWD, "/", HOLD_FOLDER, OPEN_HOW_BYTES], { save: parent, name });
  let at = "";
  for (const part of path.split("/").filter(Boolean)) {
    at = `${at}/${part}`;
    const held = program.slot();
    const found = program.label();
    program.call("mkdirat", [parent, part, 0o755], { ignore: EEXIST, name });
    holdOr(program, { path: at, how: HOLD_FOLDER, held, name, onSuccess: found });
    // It exists and leads nowhere: a link to something this container does not have, as /etc/resolv.conf often is.
    program
      .call("unlinkat", [parent, part, 0], { name })
      .call("mkdirat", [parent, part, 0o755], { name })
      .call("openat2", [linux.AT_FDCWD, at, HOLD_FOLDER, OPEN_HOW_BYTES], { save: held, name })
      .place(found);
    parent = held;
  }
  return parent;
}

/** The kernel would say EINVAL, which tells nobody that a file meets a folder. */
function refuseFolder(program: Program, path: string, name: string): void {
  const isFile = program.label();
  program
    .call("openat2", [linux.AT_FDCWD, path, HOLD_FOLDER, OPEN_HOW_BYTES], {
      name,
      ignore: ENOTDIR,
      orElse: isFile,
    })
    // Fails with EISDIR, always.
    .call("openat", [linux.AT_FDCWD, "/", linux.O_WRONLY, 0], { name })
    .place(isFile);
}

function makeFile(
  program: Program,
  { parent, file, name }: { parent: Slot; file: string; name: string },
): void {
  const opened = program.slot();
  const made = program.label();
  const dangling = program.label();
  program
    .call("openat", [parent, file, CREATE_FILE, 0o644], {
      name,
      save: opened,
      ignore: EEXIST,
      orElse: dangling,
      onSuccess: made,
    })
    .place(dangling)
    .call("unlinkat", [parent, file, 0], { name })
    .call("openat", [parent, file, CREATE_FILE, 0o644], { name, save: opened })
    .place(made)
    // While it is open for writing, the kernel refuses to make the root read-only.
    .call("close", [opened]);
}
