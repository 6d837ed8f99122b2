/** Records that no retry can deliver: kept with the reason, listed, and sent again when the cause is mended. */

export interface DeadLetter {
  /** Unique within its sidecar. */
  readonly id: string;
  /** When it was given up, RFC 3339. */
  readonly at: string;
  /** Which receiver refused it. */
  readonly sink: string;
  /** The receiver's words, shortened. */
  readonly reason: string;
  /** Where it came from, for example `/var/log/app.log@1234`. */
  readonly origin: string;
  /** As it was to be sent, redacted like everything that is sent. */
  readonly record: string;
}

export interface DeadLetters {
  list(): Promise<readonly DeadLetter[]>;
  /** Queues them for delivery again and takes them off the list; unknown ids are ignored. Resolves with how many were queued. */
  replay(ids: readonly string[] | "all"): Promise<number>;
}
