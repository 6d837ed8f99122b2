/** Replaces a file in one step: readers see the old content or the new one, never half of it, also after a crash. */
import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** `mode` is what the file has afterwards, whatever the umask. Errors are the file system's. */
export function writeFileAtomic(path: string, data: string | Uint8Array, mode: number): void {
  const draft = join(dirname(path), `.${basename(path)}.${process.pid}.draft`);
  const file = openSync(draft, "w", mode);
  try {
    fchmodSync(file, mode);
    writeFileSync(file, data);
    fsyncSync(file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
}
