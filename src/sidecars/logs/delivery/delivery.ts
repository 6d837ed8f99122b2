/** Contract between the pipeline and everything behind it: lots go in, checkpoints move when their records are safe. */
import type { DeadLetters } from "../../../kernel/dead-letters.ts";
import type { Undelivered } from "../../../kernel/sidecar.ts";
import type { Lot } from "../record.ts";

/** Where reading goes on after a restart. Kept per file and sink; what all sinks have is the file's own. */
export interface Checkpoint {
  /** `Origin.key` of the file. */
  readonly key: string;
  /** Every byte before it has been delivered, dead-lettered or kept in the disk buffer, by every sink. */
  readonly offset: number;
  /** What the file readers need to find the file again and to be sure that it is the same; opaque here, plain JSON. */
  readonly identity: unknown;
}

/** Keeps checkpoints on disk. A damaged file costs duplicates, never records. */
export interface CheckpointStore {
  /** All that is known, as loaded at the start and moved since. */
  all(): Iterable<Checkpoint>;
  get(key: string): Checkpoint | undefined;
  /** Begins or updates what is known of a file; its offsets stay as they are, 0 for a new one unless `offset` says otherwise. */
  remember(key: string, identity: unknown, offset?: number): void;
  /** The file was emptied: every sink begins again at 0. Lots from before still go out, but move nothing; the first that starts at 0 counts again. */
  reset(key: string, identity: unknown): void;
  /** The file is gone for good and delivered. */
  forget(key: string): void;
  /** Called after an offset moved. */
  onMoved(listener: (key: string, offset: number) => void): void;
  /** What hinders it: a disk that is full, a damaged file that was set aside. */
  troubles(): readonly unknown[];
}

export interface Delivery {
  readonly checkpoints: CheckpointStore;
  readonly deadLetters: DeadLetters;
  /**
   * Takes a lot to every sink that does not have it yet. Resolves when there is room for another: this is the back-pressure
   * that holds the readers. An empty lot only moves the checkpoint, in its turn. Never rejects.
   */
  offer(lot: Lot): Promise<void>;
  /** Sends incomplete batches at once, from now on. */
  hurry(): void;
  /** Resolves when everything offered has been delivered, dead-lettered or, where `keep` is true, put into the disk buffer. */
  drain(keep: boolean): Promise<void>;
  /** Stops at once, in-flight requests included, and closes the sinks; what is not acknowledged stays as it is on disk. */
  stop(): Promise<void>;
  undelivered(): Undelivered;
  /** What hinders it right now, as sentences or `Problem`s: sinks that take nothing, full or damaged buffers, lost dead letters. */
  troubles(): readonly unknown[];
  /** Per sink: lag and queue for metrics and status. */
  lanes(): Iterable<LaneProgress>;
}

export interface LaneProgress {
  readonly sink: string;
  readonly queuedRecords: number;
  readonly queuedBytes: number;
  readonly bufferedBytes: number;
  /** Why the sink takes nothing; undefined when it does. */
  readonly trouble: unknown;
  /** Offset that this sink has of a file. */
  offsetOf(key: string): number;
}
