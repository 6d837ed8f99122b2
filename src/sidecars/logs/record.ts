/** What flows through the pipeline: events cut out of a file, and the records made of them. */

/** Where events come from; one object per file, shared by its records. */
export interface Origin {
  /** The file as people know it: its path when it was last seen. */
  readonly path: string;
  /** What checkpoints call it: survives renames, never names two files. */
  readonly key: string;
}

/** One event on its way. Created by a parser, changed by the stages that follow, encoded by each sink. */
export interface LogRecord {
  /** The event as the application wrote it: lines joined by `\n`, no line end behind the last; masked by redaction. */
  text: string;
  /** When it happened: RFC 3339 with zone. When it was read, where the text says no time. */
  time: string;
  /**
   * What is delivered, in order: parsed fields, else `message`; then what stages add (`pod`, `file`, `stream`, `parseError`).
   * Does not hold `time`, which stands beside. Values are plain JSON.
   */
  fields: Record<string, unknown>;
  readonly origin: Origin;
  /** Offset behind the event's last byte (its line end included) in its file, as text offsets count for compressed files. */
  readonly end: number;
}

/** Consecutive records of one file that came out of one read: what checkpoints move by. */
export interface Lot {
  readonly origin: Origin;
  readonly records: readonly LogRecord[];
  /** Offset of the first byte that the lot covers; lots of one file follow each other without gap. */
  readonly start: number;
  /** Offset behind the last byte that the lot covers, bytes of dropped records included. */
  readonly end: number;
  /** Bytes read for it. */
  readonly bytes: number;
}
