/** Contract of every receiver of records: encode one record, send many, say what became of each. */
import type { LogRecord } from "../record.ts";

/** One record as a sink sends it. Pieces are kept on disk during outages, so they are plain values. */
export interface Piece {
  /** The record in the sink's own form, complete as it is. */
  readonly text: string;
  /** Bytes of `text` in UTF-8, where the encoder knows them anyway. Not kept on disk. */
  readonly size?: number | undefined;
  /** What the sink sends together, for example Loki's labels; empty for most. */
  readonly group: string;
  /** Nanoseconds since the epoch as decimal text, where the sink needs them; else empty. */
  readonly nanos: string;
  /** Deterministic: the same record has it again after a restart. `<file key>@<end offset>`. */
  readonly id: string;
}

/** Refusals of single records; all others of the batch were delivered. */
export interface Refusal {
  /** Index into the batch. */
  readonly index: number;
  /** Whether the same record may be taken later (429, 503 of one item). */
  readonly isRetryable: boolean;
  /** The receiver's words. */
  readonly reason: string;
}

/** What became of a batch. `send` never rejects for what a receiver does; it does so only for bugs of ours. */
export type Outcome =
  /** Every record has been acknowledged, except those listed. */
  | { readonly kind: "answered"; readonly refusals: readonly Refusal[] }
  /** Nothing is known to have arrived: send all again. `because` is for health; `retryAfterMs` is the receiver's wish. */
  | { readonly kind: "unavailable"; readonly because: unknown; readonly retryAfterMs?: number }
  /** The receiver takes no batch of this size (413): send it in halves; a single record is hopeless. */
  | { readonly kind: "too-large"; readonly reason: string }
  /** The receiver refuses the batch without saying which record is at fault (400, 422): narrow it down by halves. */
  | { readonly kind: "refused"; readonly reason: string };

export interface BatchLimits {
  /** Bytes of `Piece.text`, uncompressed. */
  readonly maxBytes: number;
  readonly maxRecords: number;
  /** How long the first record of a batch may wait for company, milliseconds. 0 sends at once. */
  readonly maxWaitMs: number;
}

export interface Sink {
  /** What metrics and errors call it: its type, with a number where there are several of one type (`http`, `http-2`). */
  readonly name: string;
  readonly limits: BatchLimits;
  /** Pure and fast: called once per record. */
  encode(record: LogRecord): Piece;
  /** Sends a batch and waits for the acknowledgement; gives up with `unavailable` when the signal aborts. One call at a time. */
  send(batch: readonly Piece[], signal: AbortSignal): Promise<Outcome>;
  /** Lets go of connections and files. */
  close(): Promise<void>;
}
