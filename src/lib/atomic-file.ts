/** Replaces a file in one step: readers see the old content or the new one, never half of it, also after a crash. */
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Nobody else reads a draft, whatever the umask. */
const DRAFT_MODE = 0o600;
/** O_EXCL follows no symlink: where others may write to the folder, they cannot lead the draft elsewhere. */
const NEW_ONLY = "wx";
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY;
/** A folder that may not be read, or whose file system knows no such thing: the file itself is safe by then. */
const NO_FOLDER_SYNC: readonly unknown[] = ["EACCES", "EINVAL", "ENOTSUP", "EPERM"];

let drafts = 0;

/** `mode` is what the file has afterwards, whatever the umask. Errors are the file system's. */
export function writeFileAtomic(path: string, data: string | Uint8Array, mode: number): void {
  const draft = draftOf(path);
  rmSync(draft, { force: true });
  const file = openSync(draft, NEW_ONLY, DRAFT_MODE);
  try {
    try {
      fchmodSync(file, mode);
      writeFileSync(file, data);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** As `writeFileAtomic`, without keeping the process waiting for the disk. Calls for one path do not wait for each other. */
export async function replaceFile(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  const draft = draftOf(path);
  await rm(draft, { force: true });
  const file = await open(draft, NEW_ONLY, DRAFT_MODE);
  try {
    try {
      await file.chmod(mode);
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncFolderLater(dirname(path));
}

/** In the same folder, so that renaming stays within one file system; a number of its own, so that calls do not meet. */
function draftOf(path: string): string {
  drafts = (drafts + 1) % 1_000;
  return join(dirname(path), `.${basename(path)}.${drafts}.${process.pid}.draft`);
}

/** The rename itself survives a power failure only when the folder is synced too. */
function syncFolder(path: string): void {
  let folder: number | undefined;
  try {
    folder = openSync(path, FOLDER);
    fsyncSync(folder);
  } catch (error) {
    if (!isHarmless(error)) throw error;
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
}

async function syncFolderLater(path: string): Promise<void> {
  let folder: FileHandle | undefined;
  try {
    folder = await open(path, FOLDER);
    await folder.sync();
  } catch (error) {
    if (!isHarmless(error)) throw error;
  } finally {
    await folder?.close();
  }
}

function isHarmless(error: unknown): boolean {
  return error instanceof Error && "code" in error && NO_FOLDER_SYNC.includes(error.code);
}
