/** Packs a finished file with gzip, in one step for whoever looks: the packed file appears complete, then the plain one goes. */
import { createReadStream } from "node:fs";
import { open, rename, rm, stat, utimes } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** `PATH` becomes `PATH.gz`. Rejects with the file system's error; then `PATH` is as it was. */
export async function packFile(path: string): Promise<void> {
  const draft = draftOf(path);
  const { mode, atime, mtime } = await stat(path);
  try {
    const target = await open(draft, "w", mode & 0o777);
    try {
      const writer = target.createWriteStream({ autoClose: false });
      await pipeline(createReadStream(path), createGzip({ level: 6 }), writer);
      await target.datasync();
    } finally {
      await target.close();
    }
    await utimes(draft, atime, mtime);
    await rename(draft, `${path}.gz`);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await rm(path, { force: true });
}

/** Removes what packing left half done when the process was killed. */
export async function removeDrafts(path: string, keep: number): Promise<void> {
  for (let number = 1; number <= keep; number++) await rm(draftOf(`${path}.${number}`), { force: true });
}

function draftOf(path: string): string {
  return `${path}.gz.draft`;
}
