/** Moves a damaged file out of the way without destroying it: somebody may want to look at it. */
import { existsSync, renameSync } from "node:fs";

/** Renames it to `<path>.damaged-N` with the first N that is free, and returns that path. Errors are the file system's. */
export function setAside(path: string): string {
  let number = 1;
  while (existsSync(`${path}.damaged-${number}`)) number += 1;
  const aside = `${path}.damaged-${number}`;
  renameSync(path, aside);
  return aside;
}
