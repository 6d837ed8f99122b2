/** How much a folder takes on its disk, as du(1) counts it, without holding up anybody for long. */
import { opendir, lstat } from "node:fs/promises";
import { join } from "node:path";

/** Of `stat`, whatever the file system's own. */
const BLOCK_BYTES = 512;

export interface DiskUsageOptions {
  /** Stops counting above this many bytes: the caller knows enough. */
  readonly enough?: number;
  /** Stops after this many entries. @default {200_000} */
  readonly maxEntries?: number;
}

/**
 * Bytes of the blocks below `folder`; files with several names count once, symlinks are not followed. What goes away
 * meanwhile, and what is not there, counts nothing.
 */
export async function diskUsage(
  folder: string,
  { enough = Number.POSITIVE_INFINITY, maxEntries = 200_000 }: DiskUsageOptions = {},
): Promise<number> {
  const seen = new Set<string>();
  const folders = [folder];
  let bytes = await blocksOf(folder, seen);
  let entries = 0;
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    try {
      for await (const entry of await opendir(next)) {
        const path = join(next, entry.name);
        bytes += await blocksOf(path, seen);
        if (bytes > enough || ++entries >= maxEntries) return bytes;
        if (entry.isDirectory()) folders.push(path);
      }
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return bytes;
}

async function blocksOf(path: string, seen: Set<string>): Promise<number> {
  try {
    const stats = await lstat(path);
    const { blocks, nlink, dev, ino } = stats;
    if (nlink > 1 && !stats.isDirectory()) {
      const id = `${dev}:${ino}`;
      if (seen.has(id)) return 0;
      seen.add(id);
    }
    return blocks * BLOCK_BYTES;
  } catch (error) {
    if (isGone(error)) return 0;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
