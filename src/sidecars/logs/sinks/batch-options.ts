/** How many records a sink sends at once, as every sink lets it be configured. */
import { z } from "zod";
import { duration, size } from "../../../kernel/config-types.ts";
import type { BatchLimits } from "./sink.ts";

/** In the notation of the configuration. */
export interface BatchDefaults {
  readonly size: string;
  readonly records: number;
  readonly wait: string;
}

/** The key `batch` of a sink. */
export function batchOptions(defaults: BatchDefaults) {
  return z
    .strictObject({
      size: size()
        .pipe(z.number().positive("Write at least one byte"))
        .prefault(defaults.size)
        .describe("Most bytes of one batch, before compression. A single larger record is sent alone."),
      records: z
        .int()
        .positive()
        .max(1_000_000)
        .prefault(defaults.records)
        .describe("Most records of one batch."),
      wait: duration()
        .prefault(defaults.wait)
        .describe("How long the first record of a batch waits for company. `0s` sends at once."),
    })
    .prefault({})
    .describe("When a batch is sent: as soon as one of these is reached.");
}

export type BatchOptions = z.output<ReturnType<typeof batchOptions>>;

export function limitsOf(batch: BatchOptions): BatchLimits {
  return { maxBytes: batch.size, maxRecords: batch.records, maxWaitMs: batch.wait };
}
