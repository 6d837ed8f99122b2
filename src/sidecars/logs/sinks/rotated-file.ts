/** A file of complete lines that is renamed when it is full; whatever moment a crash picks, no line is lost or torn for readers. */
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { packFile, removeDrafts } from "./pack-file.ts";

export interface RotatedFileOptions {
  readonly path: string;
  readonly maxSize: number;
  readonly keep: number;
  readonly compress: "gzip" | "none";
  readonly fsync: boolean;
}

interface Opened {
  readonly handle: FileHandle;
  /** Where the next line goes. */
  size: number;
  readonly inode: number;
}

const LINE_END = Buffer.from("\n");

/** One call at a time. Opens nothing before the first `append`. */
export class RotatedFile {
  readonly #options: RotatedFileOptions;
  #file: Opened | undefined;
  /** The newest renamed file, being packed beside the work. */
  #packing: Promise<void> = Promise.resolve();
  #isTidy = false;

  constructor(options: RotatedFileOptions) {
    this.#options = options;
  }

  /** Appends whole lines, all or none. Rejects with the file system's error; then nothing of them is in the file. */
  async append(lines: Uint8Array): Promise<void> {
    let file = await this.#current();
    if (file.size > 0 && file.size + lines.length > this.#options.maxSize) {
      await this.#rotate();
      file = await this.#current();
    }
    try {
      await writeAll(file.handle, lines);
      if (this.#options.fsync) await file.handle.datasync();
      file.size += lines.length;
    } catch (error) {
      await this.#takeBack(file);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#packing;
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  /** The open file, unless somebody has removed or renamed it: then readers look for a new one under its name. */
  async #current(): Promise<Opened> {
    if (this.#file !== undefined) {
      const there = await stat(this.#options.path).catch(absent);
      if (there?.ino === this.#file.inode) {
        // Emptied by somebody else: appending goes on at its end.
        this.#file.size = there.size;
        return this.#file;
      }
      await this.#file.handle.close();
      this.#file = undefined;
    }
    if (!this.#isTidy) await this.#tidy();
    this.#file = await this.#open();
    return this.#file;
  }

  async #open(): Promise<Opened> {
    const { path } = this.#options;
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(path, "a+", 0o644);
    try {
      const { size, ino } = await handle.stat();
      if (size === 0 || (await endsLine(handle, size))) return { handle, size, inode: ino };
      // A crash tore the last line: its record comes again, on a line of its own.
      await handle.write(LINE_END);
      return { handle, size: size + 1, inode: ino };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Half a batch must not stay: all of it will be written again. */
  async #takeBack(file: Opened): Promise<void> {
    try {
      await file.handle.truncate(file.size);
    } catch {
      // The file is opened anew, which repairs the torn line; whole lines before it come twice.
      this.#file = undefined;
      await file.handle.close().catch(() => undefined);
    }
  }

  /** Oldest first, so that a crash in between leaves a gap in the numbers and every file. */
  async #rotate(): Promise<void> {
    const { path, keep, compress } = this.#options;
    await this.#packing;
    await this.#file?.handle.close();
    this.#file = undefined;
    if (keep === 0) {
      await rm(path, { force: true });
      return;
    }
    const gap = await this.#firstGap();
    for (let number = gap - 1; number >= 1; number--) {
      await renameIfThere(`${path}.${number}`, `${path}.${number + 1}`);
      await renameIfThere(`${path}.${number}.gz`, `${path}.${number + 1}.gz`);
    }
    await renameIfThere(path, `${path}.1`);
    // A file that cannot be packed stays as it is; the next start tries again.
    if (compress === "gzip") this.#packing = packFile(`${path}.1`).catch(() => undefined);
  }

  /** The lowest number that is free, after removing what is too old when there is none. */
  async #firstGap(): Promise<number> {
    const { path, keep } = this.#options;
    for (let number = 1; number <= keep; number++) {
      if (!(await isThere(`${path}.${number}`)) && !(await isThere(`${path}.${number}.gz`))) return number;
    }
    await rm(`${path}.${keep}`, { force: true });
    await rm(`${path}.${keep}.gz`, { force: true });
    return keep;
  }

  /** What a crash or a smaller `keep` left behind. */
  async #tidy(): Promise<void> {
    const { path, keep, compress } = this.#options;
    await removeDrafts(path, keep);
    for (let number = 1; number <= keep; number++) {
      const plain = `${path}.${number}`;
      if (!(await isThere(plain))) continue;
      // The packed one is renamed into place only when it is complete.
      if (await isThere(`${plain}.gz`)) await rm(plain, { force: true });
      else if (compress === "gzip") await packFile(plain).catch(() => undefined);
    }
    for (let number = keep + 1; await removeNumber(path, number); number++);
    this.#isTidy = true;
  }
}

async function removeNumber(path: string, number: number): Promise<boolean> {
  const names = [`${path}.${number}`, `${path}.${number}.gz`];
  const isOne = (await Promise.all(names.map(isThere))).includes(true);
  for (const name of names) await rm(name, { force: true });
  return isOne;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at);
    at += bytesWritten;
  }
}

async function endsLine(handle: FileHandle, size: number): Promise<boolean> {
  const last = new Uint8Array(1);
  await handle.read(last, 0, 1, size - 1);
  return last[0] === 0x0a;
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(absent)) !== undefined;
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch(absent);
}

function absent(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}
