/**
 * The last bytes that were handed out of the most active files. A copy that was made shortly before its log was emptied ends
 * within them, when we have read what the application wrote in between; without them it would be read as something new.
 */
import type { LogFile } from "./log-file.ts";

/** What an application writes between the copy and the emptying: milliseconds, as a rule. */
const KEPT_BYTES = 64 * 1024;
const MOST_FILES = 64;

interface Ring {
  readonly bytes: Uint8Array;
  /** Where the next byte goes. */
  at: number;
  length: number;
}

export class RecentBytes {
  /** Longest inactive first. */
  readonly #rings = new Map<LogFile, Ring>();

  /** These bytes were handed out, up to the file's `readTo`. */
  note(log: LogFile, bytes: Uint8Array): void {
    const ring = this.#rings.get(log) ?? this.#create();
    this.#rings.delete(log);
    this.#rings.set(log, ring);
    const kept = bytes.subarray(Math.max(0, bytes.length - KEPT_BYTES));
    const first = kept.subarray(0, KEPT_BYTES - ring.at);
    ring.bytes.set(first, ring.at);
    ring.bytes.set(kept.subarray(first.length), 0);
    ring.at = (ring.at + kept.length) % KEPT_BYTES;
    ring.length = Math.min(KEPT_BYTES, ring.length + kept.length);
  }

  /** What stood between two offsets; undefined when that is not known any more. */
  read(log: LogFile, from: number, to: number): Uint8Array | undefined {
    const ring = this.#rings.get(log);
    if (ring === undefined || to > log.readTo || from < log.readTo - ring.length || from > to)
      return undefined;
    const bytes = new Uint8Array(to - from);
    const start = ring.at - (log.readTo - from) + KEPT_BYTES;
    for (let index = 0; index < bytes.length; index++)
      bytes[index] = ring.bytes[(start + index) % KEPT_BYTES] ?? 0;
    return bytes;
  }

  forget(log: LogFile): void {
    this.#rings.delete(log);
  }

  #create(): Ring {
    const [oldest] = this.#rings;
    if (this.#rings.size < MOST_FILES || oldest === undefined)
      return { bytes: new Uint8Array(KEPT_BYTES), at: 0, length: 0 };
    this.#rings.delete(oldest[0]);
    return { bytes: oldest[1].bytes, at: 0, length: 0 };
  }
}
