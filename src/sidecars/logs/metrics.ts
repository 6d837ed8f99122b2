/** The metrics of the kind `logs`. */
import type { Counter, Gauge, Meter } from "../../kernel/meter.ts";
import type { DeliveryMetrics } from "./delivery/delivery-metrics.ts";
import type { FileEvents } from "./sources/file-events.ts";

/** What the reading side counts. */
export interface PipelineMetrics {
  readonly readBytes: { add(by?: number): void };
  /** Events of one lot: how many a parser understood, how many it could not. */
  events(parsed: number, failed: number): void;
}

export interface LogsMetrics extends PipelineMetrics, DeliveryMetrics {
  readonly dropped: Counter;
  readonly redacted: Counter;
  readonly rotated: Counter;
  readonly replaced: Counter;
  readonly missed: Counter;
  readonly skipped: Counter;
  readonly freed: Counter;
  readonly removed: Counter;
  readonly lostMessages: Counter;
  readonly lagBytes: Gauge;
  readonly lagSeconds: Gauge;
  readonly buffered: Gauge;
  readonly queued: Gauge;
}

/** Declares them; the hot ones come with their labels fixed. */
export function declareMetrics(meter: Meter): LogsMetrics {
  const readBytes = meter.counter("logs_read_bytes_total", "Bytes taken out of the sources.");
  const parsed = meter.counter(
    "logs_parsed_records_total",
    'Events by what the parser made of them: "ok", or "failed" for those that are delivered as they are, marked.',
    ["outcome"],
  );
  const ok = parsed.with({ outcome: "ok" });
  const failed = parsed.with({ outcome: "failed" });
  return {
    readBytes: readBytes.with({}),
    events(good, bad) {
      if (good > 0) ok.add(good);
      if (bad > 0) failed.add(bad);
    },
    dropped: meter.counter("logs_dropped_records_total", "Records left out as configured, by stage.", [
      "stage",
    ]),
    redacted: meter.counter("logs_redacted_values_total", "Values masked, by pattern.", ["pattern"]),
    deliveredRecords: meter.counter("logs_delivered_records_total", "Records that a sink acknowledged.", [
      "sink",
    ]),
    deliveredBytes: meter.counter(
      "logs_delivered_bytes_total",
      "Bytes of records that a sink acknowledged, as encoded, before compression.",
      ["sink"],
    ),
    retried: meter.counter("logs_retried_records_total", "Records sent again after a failure.", ["sink"]),
    deadLettered: meter.counter(
      "logs_dead_lettered_records_total",
      "Records that a sink will never take, kept in the dead-letter file.",
      ["sink"],
    ),
    deadLettersDropped: meter.counter(
      "logs_lost_records_total",
      "Records that a sink will never take and that the full dead-letter file had no room for.",
      ["sink"],
    ),
    batches: meter.counter("logs_answered_batches_total", "Requests that a sink answered.", ["sink"]),
    replayed: meter.counter("logs_replayed_records_total", "Dead letters that were queued again.", ["sink"]),
    damaged: meter.counter(
      "logs_damaged_records_total",
      "Records in damaged disk buffers that could not be read.",
      ["sink"],
    ),
    duplicated: meter.counter(
      "logs_duplicated_records_total",
      "At most so many records were sent twice after the process had been killed.",
      ["sink"],
    ),
    rotated: meter.counter("logs_rotated_files_total", "Files that another program renamed or removed."),
    replaced: meter.counter(
      "logs_replaced_files_total",
      "Files that were emptied or filled anew in their place.",
    ),
    missed: meter.counter(
      "logs_missed_bytes_total",
      "Bytes that another program destroyed before they could be read, as truncating in place does.",
    ),
    skipped: meter.counter(
      "logs_skipped_bytes_total",
      "Bytes of holes in files, which hold nothing, that were stepped over.",
    ),
    freed: meter.counter(
      "logs_freed_bytes_total",
      "Bytes of delivered logs that Pillion rotated or gave back.",
    ),
    removed: meter.counter("logs_removed_files_total", "Delivered files that Pillion removed."),
    lostMessages: meter.counter(
      "logs_lost_messages_total",
      "Syslog messages over UDP for which the kernel's queue or the spool had no room.",
    ),
    lagBytes: meter.gauge("logs_lag_bytes", "Bytes of a file that a sink does not have yet.", [
      "file",
      "sink",
    ]),
    lagSeconds: meter.gauge(
      "logs_lag_seconds",
      "Age of the oldest byte of a file that a sink does not have yet.",
      ["file", "sink"],
    ),
    buffered: meter.gauge("logs_buffer_bytes", "Bytes in the disk buffer.", ["sink"]),
    queued: meter.gauge("logs_queued_records", "Records in memory that a sink has not acknowledged yet.", [
      "sink",
    ]),
  };
}

/** What happens to files, counted. */
export function fileEvents({ rotated, replaced, missed, skipped, freed, removed }: LogsMetrics): FileEvents {
  return {
    rotated: () => rotated.add(),
    replaced(_path, unread) {
      replaced.add();
      missed.add(unread);
    },
    skippedNuls: (bytes) => skipped.add(bytes),
    ownRotation: (_path, bytes) => freed.add(bytes),
    removed: () => removed.add(),
  };
}
