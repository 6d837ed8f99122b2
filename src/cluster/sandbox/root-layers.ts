/** What both kinds of root file system have in common: folders prepared in the container's scratch space, then a few mounts. */
import { chmodSync, chownSync, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { MOUNT_ATTRIBUTES_BYTES, mountAttributes } from "./detached-mount.ts";
import * as linux from "./linux-constants.ts";
import type { Program } from "./program.ts";

/**
 * The scratch space of one container: `upper` and `work` of overlays, `root` that becomes `/`, `dev` that becomes `/dev`.
 * The engine fills it by `path`; the program finds it as its working directory.
 */
export interface Scratch {
  readonly path: string;
  /** Overlays in a user namespace keep their attributes in `user.*`. */
  readonly isUserNamespace: boolean;
}

export interface Root {
  /** Mounts the root at `root`, relative to the scratch space. */
  mount(program: Program): void;
  /** Paths in the container that `readOnlyRootFilesystem` makes read-only. */
  readonly writable: readonly string[];
}

/** Binds a folder or file of the scratch space, or of the engine's side, with these attributes. */
export function bind(
  program: Program,
  { source, target, attributes }: { source: string; target: string; attributes: number },
): void {
  const name = `mount(bind,${target.slice("root".length) || "/"})`;
  program.call("mount", [source, target, 0, linux.MS_BIND, 0], { name });
  if (attributes === 0) return;
  const set = mountAttributes(attributes);
  program.call("mount_setattr", [linux.AT_FDCWD, target, 0, set, MOUNT_ATTRIBUTES_BYTES], { name });
}

/** Options of an overlay whose upper and work are folders of the scratch space; `lowers` from the top down. */
export function overlayOptions(
  lowers: readonly string[],
  name: string,
  { isUserNamespace }: Scratch,
): string {
  const options = `lowerdir=${lowers.map(escapeLower).join(":")},upperdir=upper/${name},workdir=work/${name}`;
  return isUserNamespace ? `${options},userxattr` : options;
}

/** Commas separate options, colons lower folders. */
function escapeLower(path: string): string {
  return path.replaceAll(/[\\,:]/g, "\\$&");
}

/** Makes upper and work; the attributes of an overlay's root are those of its upper folder. */
export function makeOverlayFolders(scratch: Scratch, name: string, lower: string): void {
  makeFolderLike(scratch, join(scratch.path, "upper", name), lower);
  mkdirSync(join(scratch.path, "work", name));
}

/**
 * A folder with the mode and the owner of `model`. In a user namespace it belongs to the container's root: most owners on
 * the machine do not exist there, and look like one that might.
 */
export function makeFolderLike({ isUserNamespace }: Scratch, path: string, model: string): void {
  const { mode, uid, gid } = lstatSync(model);
  mkdirSync(path);
  if (!isUserNamespace && (uid !== 0 || gid !== 0)) chownSync(path, uid, gid);
  // After chown, which takes set-id bits away; by chmod, because mkdir obeys the umask.
  chmodSync(path, mode & 0o7777);
}
