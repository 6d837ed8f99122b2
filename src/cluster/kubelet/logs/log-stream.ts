/** Reads one container instance's log as a stream at the reader's pace, and follows it across rotations. */
import { watch } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { rotatedLogs } from "../../sandbox/log-file.ts";
import { tailPlace } from "./log-tail.ts";
import { LogText, type LogTextOptions } from "./log-text.ts";

const PIECE_BYTES = 64 * 1024;

export interface LogStreamOptions extends LogTextOptions {
  /** The current file; rotated ones are beside it. */
  readonly path: string;
  readonly tailLines?: number;
  /** Settled when nothing more will be written; absent = do not follow. */
  readonly ended?: Promise<unknown>;
  readonly signal: AbortSignal;
}

/** One piece at a time: the next is read when it is asked for. Ends quietly when the signal aborts. */
export async function* logStream(options: LogStreamOptions): AsyncGenerator<Uint8Array> {
  using changes = options.ended === undefined ? NO_CHANGES : watchFolder(options);
  const text = new LogText(options);
  let { file, offset } = startOf(options);
  while (file !== undefined) {
    const handle = await openIfThere(file);
    if (handle === undefined) return;
    try {
      yield* readToEnd({ handle, offset, text, changes, options });
      file = text.isDone || options.signal.aborted ? undefined : await nextFile(options.path, handle);
      offset = 0;
    } finally {
      await handle.close();
    }
  }
}

function startOf({ path, tailLines }: LogStreamOptions): { file: string | undefined; offset: number } {
  const files = [...safeRotatedLogs(path), path];
  const place = tailLines === undefined ? { file: 0, offset: 0 } : tailPlace(files, tailLines);
  return { file: files[place.file], offset: place.offset };
}

interface OpenLog {
  readonly handle: FileHandle;
  readonly offset: number;
  readonly text: LogText;
  readonly changes: Changes;
  readonly options: LogStreamOptions;
}

/** Ends when the file will not grow any more: it has been rotated, or the container has ended. */
async function* readToEnd({ handle, offset, text, changes, options }: OpenLog): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(PIECE_BYTES);
  let position = offset;
  let isLast = false;
  while (!options.signal.aborted && !text.isDone) {
    changes.reset();
    const isComplete = isLast || !changes.mayCome() || (await isRotated(options.path, handle));
    const { bytesRead } = await handle.read(buffer, 0, PIECE_BYTES, position);
    if (bytesRead > 0) {
      position += bytesRead;
      const out = text.push(buffer.subarray(0, bytesRead));
      if (out.length > 0) yield out;
    } else if (isComplete) return;
    else isLast = (await changes.next()) === "ended";
  }
}

async function isRotated(path: string, handle: FileHandle): Promise<boolean> {
  const [own, current] = await Promise.all([handle.stat(), statIfThere(path)]);
  return current?.ino !== own.ino;
}

/** The file that was begun when this one was rotated; `undefined` when this is the current one. */
async function nextFile(path: string, handle: FileHandle): Promise<string | undefined> {
  const { ino } = await handle.stat();
  const files = [...safeRotatedLogs(path), path];
  const inodes = await Promise.all(files.map(async (file) => (await statIfThere(file))?.ino));
  const own = inodes.indexOf(ino);
  // A file that is not there any more was older than all that are.
  return files[own + 1];
}

function safeRotatedLogs(path: string): readonly string[] {
  try {
    return rotatedLogs(path);
  } catch {
    // The folder went away with its pod.
    return [];
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function statIfThere(path: string) {
  try {
    return await stat(path);
  } catch {
    // Rotated away between listing and looking.
    return undefined;
  }
}

interface Changes {
  /** What happens from now on counts. */
  reset(): void;
  /** False once the container has ended. */
  mayCome(): boolean;
  next(): Promise<"changed" | "ended">;
  [Symbol.dispose](): void;
}

const NO_CHANGES: Changes = {
  reset() {},
  mayCome: () => false,
  next: () => Promise.resolve("ended"),
  [Symbol.dispose]() {},
};

/** Bun's watch now and then misses what happens while it starts: the last lines of a quiet container must come all the same. */
const LOOK_AGAIN_MS = 250;

/** One inotify watch on the folder: files change, are renamed and appear in it. */
function watchFolder({ path, ended, signal }: LogStreamOptions): Changes {
  let hasChanged = false;
  let hasEnded = false;
  let wake = () => {};
  const change = () => {
    hasChanged = true;
    wake();
  };
  const end = () => {
    hasEnded = true;
    wake();
  };
  const watcher = watch(dirname(path), { persistent: false }, change);
  watcher.on("error", end);
  signal.addEventListener("abort", end, { once: true });
  void ended?.then(end, end);
  return {
    reset() {
      hasChanged = false;
    },
    mayCome: () => !hasEnded,
    async next() {
      if (!hasChanged && !hasEnded) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, LOOK_AGAIN_MS);
        });
      }
      return hasEnded ? "ended" : "changed";
    },
    [Symbol.dispose]() {
      signal.removeEventListener("abort", end);
      watcher.close();
    },
  };
}
