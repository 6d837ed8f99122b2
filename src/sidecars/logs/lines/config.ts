/** The keys that say how bytes become events: `cri` and `multiline`. */
import { z } from "zod";
import { duration, size } from "../../../kernel/config-types.ts";
import { pattern } from "../../../lib/linear-regex.ts";
import { TRACES } from "./multiline.ts";
import type { Multiline } from "./multiline.ts";

/** How long a line that a container runtime cut in parts waits for its next part, milliseconds. */
const CRI_TIMEOUT_MS = 1_000;

const limits = {
  timeout: duration()
    .prefault("1s")
    .describe("How long an event waits for its next line while its file is quiet; then it is complete."),
  maxLines: z
    .number()
    .int()
    .positive()
    .default(1_000)
    .describe("Lines of one event; what goes on behind them becomes a marked part of its own."),
  maxBytes: size()
    .prefault("1Mi")
    .describe("Bytes of one event; what goes on behind them becomes a marked part of its own."),
};

const Detailed = z
  .strictObject({
    trace: z
      .enum(TRACES)
      .optional()
      .describe("Stack traces of Java, Kotlin and JavaScript (`java`), of Python or of Go."),
    start: pattern()
      .optional()
      .describe("A regular expression (RE2) for the first line of an event; all others go on with it."),
    continue: pattern().optional().describe("A regular expression (RE2) for lines that go on with an event."),
    ...limits,
  })
  .superRefine(({ trace, start, continue: next }, context) => {
    if ([trace, start, next].filter((key) => key !== undefined).length === 1) return;
    context.addIssue({ code: "custom", message: 'Write exactly one of "trace", "start" and "continue"' });
  });

type Detailed = z.output<typeof Detailed>;

export const lineKeys = {
  cri: z
    .boolean()
    .default(false)
    .describe(
      "Whether the files are written by a container runtime, like those below `/var/log/pods`: its wrapper is taken off, lines that it cut are put together.",
    ),
  multiline: z
    .union([z.enum(TRACES), Detailed], {
      error: 'Write "java", "python" or "go", or a mapping with "trace", "start" or "continue"',
    })
    .transform(toMultiline)
    .optional()
    .describe(
      "Which lines belong together; by default each is an event. Empty lines count only within an event.",
    ),
};

/** How long an unfinished event may stay so while its file is quiet, milliseconds; `PipelineParts.quietMs`. */
export function quietMsOf({ multiline }: { readonly multiline?: Multiline | undefined }): number {
  return multiline?.timeout ?? CRI_TIMEOUT_MS;
}

function toMultiline(multiline: (typeof TRACES)[number] | Detailed): Multiline {
  const {
    trace,
    start,
    continue: next,
    ...bounds
  } = typeof multiline === "string" ? Detailed.parse({ trace: multiline }) : multiline;
  if (start !== undefined) return { by: { start }, ...bounds };
  if (next !== undefined) return { by: { continue: next }, ...bounds };
  return { by: { trace: trace ?? "java" }, ...bounds };
}
