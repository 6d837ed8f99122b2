/** Packs a finished file with gzip, in one step for whoever looks: the packed file appears complete, then the plain one goes. */
import { createReadStream, createWriteStream } from "node:fs";
import { open, rename, rm, stat, utimes } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** `PATH` becomes `PATH.gz`. Rejects with the file system's error; then `PATH` is as it was. */
export async function packFile(path: string): Promise<void> {
  const draft = draftOf(path);
  const { mode, atime, mtime } = await stat(path);
  try {
    const writer = createWriteStream(draft, { mode: mode & 0o777 });
    await pipeline(createReadStream(path), createGzip({ level: 6 }), writer);
    await sync(draft);
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

/** The name must not be on the disk before the content is. */
async function sync(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

function draftOf(path: string): string {
  return `${path}.gz.draft`;
}
