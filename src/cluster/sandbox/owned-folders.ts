/**
 * Rootless, this machine's folders belong to a root that does not exist in our user namespace, so that not even a container's
 * root could make a file in /var/log. A layer of empty folders that it does own, laid over them, lends it the right.
 */
import { accessSync, chmodSync, constants, existsSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";

/**
 * Where programs write, and how many levels of it: deep enough for /var/lib/NAME/FOLDER/FOLDER. A package cache with its
 * thousands of folders must not hold up a start.
 */
const TREES: readonly (readonly [path: string, levels: number])[] = [
  ["/etc", 5],
  ["/var", 5],
  ["/usr", 2],
  ["/usr/local", 4],
  ["/opt", 3],
  ["/srv", 3],
];
const MAX_FOLDERS = 4000;
const FOLDERS_PER_TURN = 50;

/** Layers by the folder they belong to, such as `/var`. */
export type OwnedFolders = ReadonlyMap<string, string>;

export interface OwnedFoldersOptions {
  readonly launcher: Launcher;
  /**
   * Where the layers are, on a tmpfs that only the engine's mount namespace sees: overlays refuse a layer inside of another,
   * and the cluster's folder may well be inside /var.
   */
  readonly folder: string;
  /** Left out. */
  readonly stateDir: string;
}

/** Makes the layers; takes 5–50 ms. Folders that this user may not list are left out. */
export async function makeOwnedFolders({
  launcher,
  folder,
  stateDir,
}: OwnedFoldersOptions): Promise<OwnedFolders> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  launcher.call("mount", ["owned", folder, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=700"]);
  const layers = new Map<string, string>();
  let left = MAX_FOLDERS;
  const copy = async (from: string, to: string, levels: number): Promise<void> => {
    if (left <= 0 || from === stateDir) return;
    const model = look(from, levels > 1);
    if (model === undefined) return;
    left -= 1;
    // A single call takes microseconds and a promise ten times that, but hundreds of calls need pauses.
    if (left % FOLDERS_PER_TURN === 0) await new Promise(setImmediate);
    mkdirSync(to, { recursive: true });
    chmodSync(to, model.mode);
    for (const name of model.folders) await copy(join(from, name), join(to, name), levels - 1);
  };
  for (const [tree, levels] of TREES) {
    await copy(tree, join(folder, tree), levels);
    const [, top = ""] = tree.split("/");
    if (existsSync(join(folder, top))) layers.set(`/${top}`, join(folder, top));
  }
  return layers;
}

/** Takes the layers away; containers that use them keep them. */
export function removeOwnedFolders(launcher: Launcher, folder: string): void {
  launcher.tryCall("umount2", [folder, linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW]);
}

interface Model {
  readonly mode: number;
  readonly folders: readonly string[];
}

/** Undefined for a folder that this user may not list, or that has just gone. */
function look(path: string, deeper: boolean): Model | undefined {
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
    const entries = deeper ? readdirSync(path, { withFileTypes: true }) : [];
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    return { mode: lstatSync(path).mode & 0o7777, folders };
  } catch {
    return undefined;
  }
}
