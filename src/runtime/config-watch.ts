/** Notices that the configuration file is another one than before: written anew, renamed into place, or behind a swapped symlink. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../kernel/clock.ts";
import { sleep } from "../lib/sleep.ts";
import type { FolderWatches } from "./folder-watches.ts";

/** Where the kernel tells nothing (NFS, no watch left), a change is seen after this time. */
const POLL_MS = 10_000;
/** A file that has stayed the same for so long is not being written any more. */
const SETTLE_MS = 200;

export interface ConfigWatchOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly watches: FolderWatches;
  readonly signal: AbortSignal;
  /** Reads it; the next change is looked for afterwards. Never rejects. */
  readonly changed: () => Promise<void>;
}

/** Watches until the signal aborts. Never rejects. */
export async function watchConfig(options: ConfigWatchOptions): Promise<void> {
  const { path, clock, watches, signal, changed } = options;
  let wake = new AbortController();
  const wakeUp = (): void => wake.abort();
  signal.addEventListener("abort", wakeUp, { once: true });
  // The folder, not the file: a rename into place or a swap of `..data` leaves a watch of the file on the old one.
  const watch = watches.watch(dirname(path), wakeUp);
  let known = await fingerprintBefore(path, performance.timeOrigin);
  while (!signal.aborted) {
    if ((await fingerprint(path)) === known) {
      await sleep(POLL_MS, clock, wake.signal);
      if (!signal.aborted) wake = new AbortController();
      continue;
    }
    known = await settled(options);
    if (!signal.aborted) await changed();
  }
  watch.close();
}

/** Nothing when the file was written after this process had begun: nobody knows then which one was read at the start. */
async function fingerprintBefore(path: string, epochMs: number): Promise<string | undefined> {
  // Of one look: what is written between two of them would count as known.
  const found = await fingerprint(path);
  const changedAtMs = Number(found.split(":").at(-1)) / 1e6;
  return changedAtMs >= epochMs ? undefined : found;
}

/** Waits until the file stays as it is. */
async function settled({ path, clock, signal }: ConfigWatchOptions): Promise<string> {
  let before = await fingerprint(path);
  while (await sleep(SETTLE_MS, clock, signal)) {
    const now = await fingerprint(path);
    if (now === before) break;
    before = now;
  }
  return before;
}

/** Differs when the path leads to another file or the file was written; the same for "not there" each time. */
async function fingerprint(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(":");
  } catch (error) {
    return String(error instanceof Error && "code" in error ? error.code : error);
  }
}
