/** Everything that stands under a sidecar of the kind `logs`: each part of the pipeline brings its own keys. */
import { z } from "zod";
import { size } from "../../kernel/config-types.ts";
import { lineKeys } from "./lines/config.ts";
import { parseKeys } from "./parse/config.ts";
import { processFields } from "./process/config.ts";
import { sinksConfig } from "./sinks/config.ts";
import { fileKeys } from "./sources/config.ts";
import { pushKeys } from "./sources/push-config.ts";

/** Below it a batch of the largest common size could not be put aside for newer ones. */
const LEAST_BUFFER = 16 * 2 ** 20;

/** The schema of the kind. */
export const LogsConfig = z
  .strictObject({
    ...fileKeys,
    ...pushKeys,
    ...lineKeys,
    ...parseKeys,
    ...processFields,
    to: sinksConfig(),
    buffer: size()
      .refine((bytes) => bytes >= LEAST_BUFFER, 'Write a size of at least "16Mi": whole batches must fit')
      .prefault("256Mi")
      .describe(
        "How much each sink may keep on disk while it cannot deliver. When it is full, reading waits: nothing is dropped.",
      ),
    deadLetters: size()
      .prefault("64Mi")
      .describe(
        "How much may be kept of records that a sink refuses for good; `pillion dead-letters` shows them.",
      ),
  })
  .refine(
    ({ files, fifo, syslog }) => (files?.length ?? 0) > 0 || (fifo?.length ?? 0) > 0 || syslog !== undefined,
    {
      message: "Name what is to be read: `files`, `fifo` or `syslog`",
    },
  );

export type LogsConfig = z.output<typeof LogsConfig>;
