/**
 * Makes missing mount points of a host-root container in its upper layers, before they are mounted: in a user namespace
 * nobody may make a folder in a folder whose owner that namespace does not know, such as /usr/share.
 */
import { closeSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { lstatIfThere } from "../../lib/lstat-if-there.ts";
import { isFolderAt, makeFolders } from "./host-copy.ts";
import type { HostView } from "./host-view.ts";
import type { Scratch } from "./root-layers.ts";

export interface MountPoint {
  /** Absolute path in the container. */
  readonly target: string;
  readonly isFolder: boolean;
}

/** What cannot be made, because a file is in the way, is left to the mount, which says so. */
export function makeMountPoints(scratch: Scratch, view: HostView, mountPoints: readonly MountPoint[]): void {
  for (const { target, isFolder } of mountPoints) {
    const path = view.containerPath(target);
    if (view.plainPath(path) !== undefined || exists(path) || !isInFolder(path)) continue;
    const place = view.place(path);
    if (place === undefined) continue;
    makeFolders(scratch, isFolder ? place : { ...place, rest: dirname(place.rest) });
    if (!isFolder) closeSync(openSync(join(place.base, place.rest), "a", 0o644));
  }
}

function exists(path: string): boolean {
  return lstatIfThere(path) !== undefined;
}

/** True when what there is of the path on this machine is folders. */
function isInFolder(path: string): boolean {
  let at = path;
  while (!exists(at)) at = dirname(at);
  return isFolderAt(at);
}
