/** Reads what an application logs and brings it to its receivers; a line counts as read when they have acknowledged it. */
import type { Host } from "../../kernel/host.ts";
import { defineSidecar, type Running, type SidecarContext, type StopReason } from "../../kernel/sidecar.ts";
import { LogsConfig } from "./config.ts";
import { openDelivery } from "./delivery/open-delivery.ts";
import type { Delivery } from "./delivery/delivery.ts";
import { LogHealth } from "./health.ts";
import { LagTracker } from "./lag.ts";
import { quietMsOf } from "./lines/config.ts";
import { createFramers } from "./lines/framer.ts";
import { declareMetrics, fileEvents, type LogsMetrics } from "./metrics.ts";
import { createParser } from "./parse/create-parser.ts";
import { Pipeline, type PipelineParts } from "./pipeline.ts";
import { createProcessor } from "./process/processor.ts";
import { createSinks } from "./sinks/create-sinks.ts";
import type { ChunkSource } from "./sources/chunk.ts";
import { openSources } from "./sources/open-sources.ts";
import { SYSLOG_ORIGIN } from "./sources/syslog-source.ts";

type Context = SidecarContext<LogsMetrics>;

/** Memory for records that one sink has not acknowledged yet, bytes. */
const QUEUE_BYTES = 3 * 2 ** 20;
/** After so long without a way out, what is left in memory goes to disk: the kernel may kill us 2 s after SIGTERM (KEP-753). */
const KEEP_AFTER_MS = 700;
/** An application that has used up the pod's time is killed when we get SIGTERM, not before: it may write for so long yet. */
const LAST_WORDS_MS = 200;

export default defineSidecar({
  kind: "logs",
  summary: "Reads log files, parses them and delivers every line at least once.",
  config: LogsConfig,
  gates: "none",
  metrics: declareMetrics,
  async start(config, context) {
    const { host, metrics } = context;
    const processor = createProcessor({
      config,
      pod: host.pod,
      dropped: metrics.dropped,
      redacted: metrics.redacted,
      monotonic: () => host.monotonic(),
    });
    const parse = createParser(config, host);
    const isBare = config.parse.format === "none";
    // What is received as syslog is syslog, unless somebody knows better.
    const parseReceived = isBare ? createParser({ ...config, parse: { format: "syslog" } }, host) : parse;
    const stages: Stages = {
      createFramer: createFramers(config),
      parserOf: ({ path }) => (path === SYSLOG_ORIGIN ? parseReceived : parse),
      process: processor.process,
    };
    const sinks = createSinks(config.to, { host });
    const delivery = await openDelivery({
      folder: host.stateFolder,
      sinks,
      host,
      limits: { memoryBytes: QUEUE_BYTES, bufferBytes: config.buffer, deadLetterBytes: config.deadLetters },
      metrics,
    });
    try {
      context.signal.throwIfAborted();
      return begin({ config, context, stages, delivery });
    } catch (error) {
      // Who holds the folder would keep the next attempt from it.
      await delivery.stop();
      throw error;
    }
  },
});

type Stages = Pick<PipelineParts, "createFramer" | "parserOf" | "process">;

interface Opened {
  readonly config: LogsConfig;
  readonly context: Context;
  readonly stages: Stages;
  readonly delivery: Delivery;
}

/** Throws what `openSources` throws. */
function begin({ config, context, stages, delivery }: Opened): Running {
  const { host, metrics } = context;
  const source = openSources({
    config: { ...config, exclude: [...config.exclude, ...ownFiles(config)] },
    host,
    checkpoints: delivery.checkpoints,
    events: fileEvents(metrics),
    lostMessages: (messages) => metrics.lostMessages.add(messages),
  });
  const lag = new LagTracker({ source, delivery, monotonic: () => host.monotonic() });
  delivery.checkpoints.onMoved((key, offset) => lag.moved(key, offset));
  const pipeline = new Pipeline({
    ...stages,
    source,
    delivery,
    onLot: (lot) => lag.read(lot),
    clock: host,
    metrics,
    quietMs: quietMsOf(config),
  });
  return running({ context, source, delivery, pipeline, lag });
}

/** Patterns of what the sidecar itself writes: read again, every record would make another one, for ever. */
function ownFiles({ to }: LogsConfig): string[] {
  return to.flatMap(({ file }) => {
    if (file === undefined) return [];
    const path = file.path.replaceAll(/[*?![\]{}\\]/g, String.raw`\$&`);
    return [path, `${path}.*`];
  });
}

interface Parts {
  readonly context: Context;
  readonly source: ChunkSource;
  readonly delivery: Delivery;
  readonly pipeline: Pipeline;
  readonly lag: LagTracker;
}

function running(parts: Parts): Running {
  const { context, source, delivery, lag } = parts;
  exposeGauges(parts);
  const health = new LogHealth({ host: context.host, source, delivery });
  return {
    done: live(parts).finally(() => health.stop()),
    deadLetters: delivery.deadLetters,
    undelivered() {
      const { records, bytes, keptBytes } = delivery.undelivered();
      let unread = 0;
      for (const { size, readTo } of source.progress()) unread += Math.max(0, size - readTo);
      return { records, bytes: bytes + unread, keptBytes };
    },
    status: () => ({
      lag: lag.all().filter(({ bytes }) => bytes > 0),
      sinks: [...delivery.lanes()].map(({ sink, queuedRecords, bufferedBytes }) => ({
        sink,
        queuedRecords,
        bufferedBytes,
      })),
    }),
  };
}

/** From the first chunk to the last acknowledgement. */
async function live({ context, source, delivery, pipeline }: Parts): Promise<void> {
  const { signal, hurry, deadline, once } = context;
  const listening = new AbortController();
  const on = (event: AbortSignal, react: () => void): void => {
    if (event.aborted) react();
    else event.addEventListener("abort", react, { signal: listening.signal });
  };
  on(hurry, () => delivery.hurry());
  const leave = (): void => {
    pipeline.leavePending();
    source.abandon();
  };
  on(deadline, () => {
    leave();
    void delivery.stop();
  });
  on(signal, () => {
    const reason = signal.reason as StopReason;
    delivery.hurry();
    if (reason === "reload") leave();
    else {
      const stopping = AbortSignal.any([deadline, listening.signal]);
      void finishAfterLastWords(context.host, source, stopping);
      void keepAfterAWhile(context.host, delivery, stopping);
    }
  });
  if (once) source.finish();
  try {
    await pipeline.run();
    await delivery.drain(false);
  } finally {
    listening.abort();
    source.close();
    await delivery.stop();
  }
}

async function finishAfterLastWords(host: Host, source: ChunkSource, signal: AbortSignal): Promise<void> {
  if (await host.sleep(LAST_WORDS_MS, signal)) source.finish();
}

/** When the receivers do not take what is left within a moment, it goes to disk first, and on from there. */
async function keepAfterAWhile(host: Host, delivery: Delivery, signal: AbortSignal): Promise<void> {
  if (await host.sleep(KEEP_AFTER_MS, signal)) await delivery.drain(true);
}

function exposeGauges({ context: { metrics }, delivery, lag }: Parts): void {
  metrics.lagBytes.collect(() =>
    lag.all().map(({ file, sink, bytes }) => ({ value: bytes, labels: { file, sink } })),
  );
  metrics.lagSeconds.collect(() =>
    lag.all().map(({ file, sink, seconds }) => ({ value: seconds, labels: { file, sink } })),
  );
  metrics.buffered.collect(() =>
    [...delivery.lanes()].map(({ sink, bufferedBytes }) => ({ value: bufferedBytes, labels: { sink } })),
  );
  metrics.queued.collect(() =>
    [...delivery.lanes()].map(({ sink, queuedRecords }) => ({ value: queuedRecords, labels: { sink } })),
  );
}
