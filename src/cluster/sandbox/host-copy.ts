/** Puts files of the image map's `copy:` into a host-root container before it starts. */
import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readlink, stat, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf } from "../../kernel/problem.ts";
import { lstatIfThere } from "../../lib/lstat-if-there.ts";
import type { HostCopy } from "../images/image.ts";
import { makeFolderLike, type Scratch } from "./root-layers.ts";
import { ContainerStartError } from "./sandbox.ts";
import type { HostView, Place } from "./host-view.ts";

export interface CopyTarget {
  readonly scratch: Scratch;
  readonly view: HostView;
  /** Never copied: a project may hold the cluster's own folder. */
  readonly stateDir: string;
}

/**
 * A folder's contents are merged into `to`; a file becomes `to`, or a file in it when `to` ends in a slash or is a folder.
 * Copies keep modes and belong to the container's root, like `COPY` in a Dockerfile. Sockets and devices are left out.
 */
export async function copyIntoLayer(
  { scratch, view, stateDir }: CopyTarget,
  { from, to }: HostCopy,
): Promise<void> {
  try {
    const isFolder = statSync(from).isDirectory();
    const wanted = view.containerPath(to);
    const isInto =
      !isFolder && (to.endsWith("/") || (statSync(to, { throwIfNoEntry: false })?.isDirectory() ?? false));
    const place = view.place(isInto ? join(wanted, basename(from)) : wanted);
    if (place === undefined)
      throw new Error("its place is shown read-only, because other file systems are mounted there");
    makeFolders(scratch, isFolder ? place : { ...place, rest: dirname(place.rest) });
    const target = join(place.base, place.rest);
    await (isFolder ? copyFolder(from, target, stateDir) : copyOne(from, target));
  } catch (cause) {
    throw new ContainerStartError(
      "CreateContainerError",
      `cannot copy "${from}" of the image map to "${to}": ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** Folders on the way look as they do on this machine: an upper folder hides the attributes of the one below. */
export function makeFolders(scratch: Scratch, { base, rest, lower }: Place): void {
  const names = rest.split("/").filter(Boolean);
  for (const index of names.keys()) {
    const way = names.slice(0, index + 1).join("/");
    const path = join(base, way);
    if (existsSync(path)) continue;
    const model = lower === undefined ? undefined : join(lower, way);
    if (model !== undefined && isFolderAt(model)) makeFolderLike(scratch, path, model);
    else makePlainFolder(path);
  }
}

export function isFolderAt(path: string): boolean {
  return lstatIfThere(path)?.isDirectory() ?? false;
}

function makePlainFolder(path: string): void {
  mkdirSync(path);
  chmodSync(path, 0o755);
}

async function copyFolder(from: string, to: string, stateDir: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    // A project that holds the cluster's own folder does not copy the cluster into itself.
    if (source === stateDir) continue;
    if (entry.isDirectory()) {
      await mkdir(target, { recursive: true });
      await copyFolder(source, target, stateDir);
      await chmod(target, (await stat(source)).mode & 0o7777);
    } else if (entry.isSymbolicLink()) {
      await symlink(await readlink(source), target);
    } else if (entry.isFile()) {
      await copyOne(source, target);
    }
  }
}

async function copyOne(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await chmod(to, (await stat(from)).mode & 0o7777);
}
