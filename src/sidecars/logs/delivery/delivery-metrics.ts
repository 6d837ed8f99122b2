/** What delivery counts, per sink. */
import type { Counter } from "../../../kernel/meter.ts";

/** Each has the label `sink`. */
export interface DeliveryMetrics {
  readonly deliveredRecords: Counter;
  readonly deliveredBytes: Counter;
  /** Requests that were answered. */
  readonly batches: Counter;
  readonly retried: Counter;
  readonly deadLettered: Counter;
  /** Refused for good, and there was no room to keep them. */
  readonly deadLettersDropped: Counter;
  /** Dead letters that were queued again. */
  readonly replayed: Counter;
  /** At most so many were sent twice because the process ended while they were on their way. */
  readonly duplicated: Counter;
  /** Records that a damaged buffer file held. */
  readonly damaged: Counter;
}

type Fixed = ReturnType<Counter["with"]>;

export type LaneMetrics = { readonly [Name in keyof DeliveryMetrics]: Fixed };

export function metricsOf(metrics: DeliveryMetrics, sink: string): LaneMetrics {
  const labels = { sink };
  return {
    deliveredRecords: metrics.deliveredRecords.with(labels),
    deliveredBytes: metrics.deliveredBytes.with(labels),
    batches: metrics.batches.with(labels),
    retried: metrics.retried.with(labels),
    deadLettered: metrics.deadLettered.with(labels),
    deadLettersDropped: metrics.deadLettersDropped.with(labels),
    replayed: metrics.replayed.with(labels),
    duplicated: metrics.duplicated.with(labels),
    damaged: metrics.damaged.with(labels),
  };
}
