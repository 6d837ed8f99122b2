/** Contract of a source that cannot be read twice: it fills a spool by itself until it is told to finish. */
import type { Spooled } from "./spooled.ts";

export interface PushSource {
  readonly spooled: Spooled;
  /** Takes in what there is right now, then ends; resolves when everything is in the spool. Waits while the spool is full. */
  finish(): Promise<void>;
  /** Ends at once; what was not taken in stays where it is. Idempotent. */
  close(): void;
  /** What hinders it right now. */
  troubles(): readonly unknown[];
}
