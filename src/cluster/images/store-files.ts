/** Reading, publishing and removing the files of the image store so that a kill at any point does no harm. */
import { readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { isRunning, startTimeOf } from "../../lib/process-identity.ts";
import { ArchiveError } from "./archive-error.ts";
import { SafeTree } from "./safe-tree.ts";

/** Name of the next scratch folder of this process; tells later processes when its owner is gone. */
export function nextScratchName(): string {
  return `${process.pid}-${startTimeOf(process.pid) ?? "0"}-${scratchCount++}`;
}

let scratchCount = 0;

/** Removes scratch folders of processes that are gone. */
export function removeLeftoverFolders(tmp: string): void {
  for (const name of readdirSync(tmp)) {
    const [, pid = "0", startTime = "0"] = /^(\d+)-(\d+)-\d+$/.exec(name) ?? [];
    if (!isRunning({ pid: Number(pid), startTime })) removeTreeSync(join(tmp, name));
  }
}

/** Removes what `writeFileAtomic` of processes that are gone left in a folder. */
export function removeLeftoverDrafts(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = /^\..+\.(\d+)\.draft$/.exec(name)?.[1];
    if (pid !== undefined && startTimeOf(Number(pid)) === undefined)
      rmSync(join(folder, name), { force: true });
  }
}

/** Gives a finished folder its place. Another process may have put the same there meanwhile; then that stays. */
export function publish(draft: string, folder: string): void {
  try {
    renameSync(draft, folder);
  } catch (because) {
    if (!hasCode(because, "ENOTEMPTY", "EEXIST")) throw because;
  }
}

export async function removeTree(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } catch {
    // Somebody who is not root cannot empty a folder that the image made read-only.
    removeTreeSync(folder);
  }
}

/** Undefined for a file that is not there or not whole: what it described has to be made again. */
export function readRecord<Schema extends z.ZodType>(
  file: string,
  schema: Schema,
): z.output<Schema> | undefined {
  return readWhole(file, (bytes) => schema.parse(JSON.parse(bytes.toString("utf8"))));
}

/** `readRecord` with a parser; one that throws `ArchiveError`, `SyntaxError` or `ZodError` means damage. */
export function readWhole<Value>(file: string, parse: (bytes: Buffer) => Value): Value | undefined {
  try {
    return parse(readFileSync(file));
  } catch (because) {
    const isDamage =
      because instanceof ArchiveError || because instanceof SyntaxError || because instanceof z.ZodError;
    if (isDamage || hasCode(because, "ENOENT", "ENOTDIR")) return undefined;
    throw because;
  }
}

function removeTreeSync(folder: string): void {
  new SafeTree(folder).remove("");
  rmSync(folder, { recursive: true, force: true });
}

function hasCode(because: unknown, ...codes: readonly string[]): boolean {
  return because instanceof Error && "code" in because && codes.includes(String(because.code));
}
