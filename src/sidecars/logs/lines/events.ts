/** Contract of framing: chunks of bytes become events, which are one line or several that belong together. */
import type { Chunk } from "../sources/chunk.ts";

/** Events that are complete. Parallel lists instead of objects: this is the hottest loop of the pipeline. */
export interface Events {
  /** Valid UTF-8 whatever the file holds: bytes that are none stand there as `\xNN`. Never empty. */
  readonly texts: readonly string[];
  /** Offset behind each event's last byte, line end included. */
  readonly ends: readonly number[];
  /**
   * Only where a wrapper around the line says so (CRI): time as RFC 3339, and `stdout` or `stderr`; undefined for a line
   * without a wrapper.
   */
  readonly times?: readonly (string | undefined)[];
  readonly streams?: readonly (string | undefined)[];
  /** Which events are only a part of something longer: of a line or of an event beyond its limit. Absent where none is. */
  readonly cuts?: ReadonlySet<number>;
}

/** Frames one file. */
export interface Framer {
  /**
   * The events that this chunk completes. Offsets never go back, except behind a chunk that does not follow the one before
   * (the file was emptied); what was pending then comes first, as it is.
   */
  push(chunk: Chunk): Events;
  /** What is pending, as an event of its own: the file is quiet or at its end. */
  flush(): Events;
  /**
   * Offset of the first byte of the unfinished event; where reading has to go on after a restart. May lie before offsets that
   * were handed out where two streams are interleaved in one file (CRI): these events come again then.
   */
  readonly pendingFrom: number | undefined;
}
