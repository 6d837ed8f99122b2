/**
 * Makes missing mount points of a host-root container in its upper layers, before they are mounted: in a user namespace
 * nobody may make a folder in a folder whose owner that namespace does not know, such as /var/log.
 */
import { closeSync, lstatSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { isFolderAt, makeFolders } from "./host-copy.ts";
import type { HostView } from "./host-view.ts";

export interface MountPoint {
  /** Absolute path in the container. */
  readonly target: string;
  readonly isFolder: boolean;
}

/** Folders that programs run by root write to; with an upper folder they belong to the container's root. */
const WRITABLE = ["/var/cache", "/var/lib", "/var/log", "/var/spool"];

/** What cannot be made, because a file is in the way, is left to the mount, which says so. */
export function makeMountPoints(view: HostView, mountPoints: readonly MountPoint[]): void {
  for (const { target, isFolder } of mountPoints) {
    const path = view.containerPath(target);
    if (view.plainPath(path) !== undefined || exists(path) || !isInFolder(path)) continue;
    const place = view.place(path);
    makeFolders(isFolder ? place : { ...place, rest: dirname(place.rest) });
    if (!isFolder) closeSync(openSync(join(place.base, place.rest), "a", 0o644));
  }
}

/** Gives the container's root the folders it would own on a machine of its own. */
export function adoptWritableFolders(view: HostView): void {
  for (const path of WRITABLE) {
    if (view.realPath(path) === path && isFolderAt(path)) makeFolders(view.place(path));
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** True when what there is of the path on this machine is folders. */
function isInFolder(path: string): boolean {
  let at = path;
  while (!exists(at)) at = dirname(at);
  return isFolderAt(at);
}
