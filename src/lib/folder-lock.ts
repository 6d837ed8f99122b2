/** Keeps a folder to one process: the kernel takes the claim back when the process ends, however it ends. */
import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { messageOf, Problem } from "../kernel/problem.ts";

export interface FolderLock {
  release(): void;
}

/**
 * Claims the folder, which must exist; asking again fails, in this process too. SQLite is used for its locks only (fcntl(2)
 * behind a BEGIN EXCLUSIVE; the runtime offers no other): nothing is stored. Throws `Problem`: `E_FOLDER_IN_USE`,
 * `E_FOLDER_UNUSABLE`.
 */
export function lockFolder(folder: string): FolderLock {
  const path = join(folder, "lock");
  let claim: Database | undefined;
  try {
    makeIfMissing(path);
    claim = new Database(path, { strict: true });
    claim.run("BEGIN EXCLUSIVE");
    const held = claim;
    return { release: () => held.close() };
  } catch (error) {
    claim?.close();
    throw problemOf(folder, error);
  }
}

/** Closing any descriptor of a file gives up all the claims of this process (fcntl(2)): one that is there is not opened. */
function makeIfMissing(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

function problemOf(folder: string, cause: unknown): Problem {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new Problem({
      code: "E_FOLDER_IN_USE",
      message: `Cannot use the folder "${folder}": another process works in it`,
      fix: "Stop the other process, or give each its own state folder",
      cause,
    });
  }
  return new Problem({
    code: "E_FOLDER_UNUSABLE",
    message: `Cannot use the folder "${folder}": ${messageOf(cause)}`,
    fix: "Make the folder writable for this user, with space left on its disk, and remove a file `lock` in it that is not ours",
    cause,
  });
}
