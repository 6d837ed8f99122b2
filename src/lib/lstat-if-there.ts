/** Asks about a path that may not exist, also because one of its folders is a file. */
import { lstatSync, type Stats } from "node:fs";

/** Undefined for ENOENT and ENOTDIR (which `throwIfNoEntry` throws); other errors are thrown. */
export function lstatIfThere(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}
