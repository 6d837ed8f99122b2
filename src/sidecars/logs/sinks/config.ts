/** The key `to` of a log sidecar: a list of sinks, each an object whose one key is the sink's type. */
import { z } from "zod";
import { elasticsearchOptions } from "./elasticsearch-sink.ts";
import { fileSinkOptions } from "./file-sink.ts";
import { httpSinkOptions } from "./http-sink.ts";
import { lokiOptions } from "./loki-sink.ts";
import { otlpOptions } from "./otlp-sink.ts";
import { stdoutOptions } from "./stdout-sink.ts";
import { syslogSinkOptions } from "./syslog-sink.ts";

const TYPES = "stdout, file, http, loki, elasticsearch, otlp, syslog";

function sinkConfig() {
  return z
    .strictObject({
      stdout: stdoutOptions().optional(),
      file: fileSinkOptions().optional(),
      http: httpSinkOptions().optional(),
      loki: lokiOptions().optional(),
      elasticsearch: elasticsearchOptions().optional(),
      otlp: otlpOptions().optional(),
      syslog: syslogSinkOptions().optional(),
    })
    .refine((sink) => Object.values(sink).filter((options) => options !== undefined).length === 1, {
      message: `Write one sink per entry of the list, one of ${TYPES}`,
      // An unknown type has been complained about already.
      when: ({ issues }) => issues.length === 0,
    })
    .meta({ minProperties: 1, maxProperties: 1 })
    .describe("One sink: its type as the key, its options below.");
}

/** The schema of `to`. */
export function sinksConfig() {
  return z
    .array(sinkConfig())
    .min(1, `Write at least one sink, one of ${TYPES}`)
    .describe("Where records go. Every sink gets every record, at its own pace.");
}

export type SinkConfig = z.output<ReturnType<typeof sinkConfig>>;
