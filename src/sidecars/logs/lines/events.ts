/** Contract of framing: chunks of bytes become events, which are one line or several that belong together. */
import type { Chunk } from "../sources/chunk.ts";

/** Events that are complete. Parallel lists instead of objects: this is the hottest loop of the pipeline. */
export interface Events {
  readonly texts: readonly string[];
  /** Offset behind each event's last byte, line end included. */
  readonly ends: readonly number[];
  /** Only where a wrapper around the line says so (CRI): time as RFC 3339, and `stdout` or `stderr`. */
  readonly times?: readonly string[];
  readonly streams?: readonly string[];
}

/** Frames one file. */
export interface Framer {
  /** The events that this chunk completes. Offsets never go back, except behind a chunk that starts at 0 again. */
  push(chunk: Chunk): Events;
  /** What is pending, as an event of its own: the file is quiet or at its end. */
  flush(): Events;
  /** Offset of the first byte of the unfinished event; where reading has to go on after a restart. */
  readonly pendingFrom: number | undefined;
}
