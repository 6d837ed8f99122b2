/** `hostPath` volumes: folders of the node, which is a throw-away root and never this machine's. */
import { closeSync, constants, fchmodSync, lstatSync, openSync, realpathSync, type Stats } from "node:fs";
import { dirname, normalize, relative } from "node:path";
import type { HostPathVolumeSource } from "../../../../generated/kubernetes.ts";
import { childOf, findInside, makeFolderInside, openFolderInside } from "../../../lib/inside.ts";
import { VolumeError } from "./volume-error.ts";

export interface NodeFolders {
  /** The node's root folder. */
  readonly nodeRoot: string;
  /** Real folders of this machine that pods may reach under their own paths (`up --host-path`). */
  readonly shared: readonly string[];
}

/** Where a container's mount finds the volume. Only `path` comes from a manifest; it is resolved below `root`. */
export interface VolumeLocation {
  readonly root: string;
  readonly path: string;
  /** A folder of this machine, where others mount and unmount. */
  readonly isShared?: boolean;
}

/** The shared folder that `path` is, or is in. */
export function sharedFolderOf(path: string, shared: NodeFolders["shared"]): string | undefined {
  const absolute = normalize(`/${path}`);
  return shared.find((folder) => absolute === folder || absolute.startsWith(`${folder}/`));
}

/** Checks `type` and makes what `DirectoryOrCreate` and `FileOrCreate` ask for. Throws `VolumeError`. */
export function prepareHostPath(
  { path, type = "" }: HostPathVolumeSource,
  { nodeRoot, shared }: NodeFolders,
): VolumeLocation {
  const absolute = normalize(`/${path}`);
  const sharedRoot = sharedFolderOf(path, shared);
  const root = sharedRoot === undefined ? nodeRoot : realpathSync(sharedRoot);
  const wanted = relative(sharedRoot ?? "/", absolute);
  try {
    const found = findInside(root, wanted);
    const stats = found.stats ?? create(root, found.path, { type, isShared: sharedRoot !== undefined });
    checkType(path, type, stats);
    return { root, path: found.path, isShared: sharedRoot !== undefined };
  } catch (error) {
    if (error instanceof VolumeError) throw error;
    throw new VolumeError(`hostPath ${JSON.stringify(path)}: ${String(error)}`, { cause: error });
  }
}

/**
 * With no type the container runtime would make a missing folder; on the throw-away node, most paths are missing, so
 * they are made here. A shared folder of this machine is left as it is.
 */
function create(
  root: string,
  path: string,
  { type, isShared }: { readonly type: string; readonly isShared: boolean },
): Stats | undefined {
  if (type === "DirectoryOrCreate" || (type === "" && !isShared)) makeFolderInside(root, path, 0o755);
  else if (type === "FileOrCreate") {
    const parent = openFolderInside(root, dirname(path) === "." ? "" : dirname(path));
    try {
      const at = childOf(parent, path.slice(path.lastIndexOf("/") + 1));
      // Exclusive: a pipe that a pod puts there meanwhile would hold up the engine.
      const file = openSync(at, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644);
      fchmodSync(file, 0o644);
      closeSync(file);
    } finally {
      closeSync(parent);
    }
  }
  return lstatSync(`${root}/${path}`, { throwIfNoEntry: false });
}

const CHECKS: Readonly<Record<string, { readonly holds: (stats: Stats) => boolean; readonly what: string }>> =
  {
    Directory: { holds: (stats) => stats.isDirectory(), what: "directory" },
    DirectoryOrCreate: { holds: (stats) => stats.isDirectory(), what: "directory" },
    File: { holds: (stats) => stats.isFile(), what: "file" },
    FileOrCreate: { holds: (stats) => stats.isFile(), what: "file" },
    Socket: { holds: (stats) => stats.isSocket(), what: "socket file" },
    CharDevice: { holds: (stats) => stats.isCharacterDevice(), what: "character device" },
    BlockDevice: { holds: (stats) => stats.isBlockDevice(), what: "block device" },
  };

/** `checkTypeInternal` of the hostPath plugin. */
function checkType(path: string, type: string, stats: Stats | undefined): void {
  const check = CHECKS[type];
  if (check === undefined && stats === undefined)
    throw new VolumeError(`hostPath type check failed: ${path} does not exist`);
  if (check !== undefined && (stats === undefined || !check.holds(stats)))
    throw new VolumeError(`hostPath type check failed: ${path} is not a ${check.what}`);
}
