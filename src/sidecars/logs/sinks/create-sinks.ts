/** Makes the sinks that a configuration asks for. */
import type { Host } from "../../../kernel/host.ts";
import type { SinkConfig } from "./config.ts";
import { createElasticsearchSink } from "./elasticsearch-sink.ts";
import { createFileSink } from "./file-sink.ts";
import { createHttpSink } from "./http-sink.ts";
import { createLokiSink } from "./loki-sink.ts";
import { createOtlpSink } from "./otlp-sink.ts";
import type { Sink } from "./sink.ts";
import { createStdoutSink } from "./stdout-sink.ts";
import { createSyslogSink } from "./syslog-sink.ts";

export interface SinkSurroundings {
  readonly host: Host;
}

/**
 * In the order of the configuration; opens nothing yet. Names are the types, with a number from the second of one type on:
 * checkpoints are kept by these names, so adding a sink at the end of the list leaves the others where they are.
 */
export function createSinks(configs: readonly SinkConfig[], { host }: SinkSurroundings): Sink[] {
  const seen = new Map<string, number>();
  return configs.map((config) => {
    const type = Object.entries(config).find(([, options]) => options !== undefined)?.[0] ?? "";
    const count = (seen.get(type) ?? 0) + 1;
    seen.set(type, count);
    return createSink(count === 1 ? type : `${type}-${count}`, config, host);
  });
}

function createSink(name: string, config: SinkConfig, host: Host): Sink {
  if (config.stdout !== undefined) return createStdoutSink(name, config.stdout, host);
  if (config.file !== undefined) return createFileSink(name, config.file);
  if (config.http !== undefined) return createHttpSink(name, config.http, host);
  if (config.loki !== undefined) return createLokiSink(name, config.loki, host);
  if (config.elasticsearch !== undefined) return createElasticsearchSink(name, config.elasticsearch, host);
  if (config.otlp !== undefined) return createOtlpSink(name, config.otlp, host);
  if (config.syslog !== undefined) return createSyslogSink(name, config.syslog, host);
  throw new TypeError("a sink without a type");
}
