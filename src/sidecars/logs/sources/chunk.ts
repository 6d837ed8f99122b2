/** Contract between the readers of files and the pipeline: whole lines, one file at a time, pulled. */
import type { Origin } from "../record.ts";

/** Whole lines out of one file. */
export interface Chunk {
  readonly origin: Origin;
  /** Offset of the first byte. Chunks of one file follow each other without gap, except behind a file's own reset to 0. */
  readonly start: number;
  /** Ends behind a line end, except where `isLast` or `isCut`. Valid until the next pull. May be empty where `isLast`. */
  readonly bytes: Uint8Array;
  /** A line longer than the limit, or a part of one: the next chunk goes on within the same line. */
  readonly isCut: boolean;
  /** Nothing follows in this file for now (it was rotated away and is quiet, removed, or the sidecar finishes): an unfinished event is complete as it is. */
  readonly isLast: boolean;
}

/** How far one file has been read and how far there is to go. */
export interface FileProgress {
  readonly origin: Origin;
  /** Bytes in the file now. */
  readonly size: number;
  /** Offset up to which chunks were handed out. */
  readonly readTo: number;
  /** When the oldest byte behind `readTo` was seen, milliseconds of `host.monotonic()`; undefined when there is none. */
  readonly behindSince: number | undefined;
}

/** All the files that one sidecar reads, as one stream. Chunks are handed out fairly: no file starves the others. */
export interface ChunkSource {
  /**
   * The next chunk, as soon as there is one. Undefined: nothing more will come (after `finish`, when everything has been
   * read to its end). `wakeAfterMs`: come back by then with "idle" when there is nothing to read.
   */
  next(wakeAfterMs: number): Promise<Chunk | "idle" | undefined>;
  /** Reads every file to its end as it is now, hands out unfinished last lines too, then ends. */
  finish(): void;
  /** Ends now: what is not handed out yet is left for the next start, `close` has to follow. */
  abandon(): void;
  /** Files it knows, for lag and status. */
  progress(): Iterable<FileProgress>;
  /** What hinders it right now, as sentences or `Problem`s: unreadable files, globs that match nothing. */
  troubles(): readonly unknown[];
  /** Lets go of files and watches. */
  close(): void;
}
