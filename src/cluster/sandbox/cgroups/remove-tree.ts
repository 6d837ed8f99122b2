/** Removes control groups: a folder of theirs can only be removed when no group is below it, and its files not at all. */
import type { CgroupFiles } from "./cgroup-files.ts";

/** Children first. Groups that hold processes stay, and so do those above them. */
export function removeTree(files: CgroupFiles, folder: string): void {
  for (const name of files.folders(folder)) removeTree(files, `${folder}/${name}`);
  files.removeFolder(folder);
}
