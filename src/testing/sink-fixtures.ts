/** What tests of sinks share: a sink as its configuration makes it, records, and a batch of them. */
import type { LogRecord } from "../sidecars/logs/record.ts";
import { sinksConfig } from "../sidecars/logs/sinks/config.ts";
import { createSinks } from "../sidecars/logs/sinks/create-sinks.ts";
import type { Outcome, Piece, Sink } from "../sidecars/logs/sinks/sink.ts";
import type { FakeHost } from "./fake-host.ts";

/** `config` as people write it, for example `{ http: { url } }`. */
export function openSink(config: unknown, host: FakeHost): Sink {
  const [sink] = createSinks(sinksConfig().parse([config]), { host });
  if (sink === undefined) throw new TypeError("no sink");
  return sink;
}

/** One with the message `text`, at 10:00 and `number` seconds. */
export function makeRecord(number: number, change: Partial<LogRecord> = {}): LogRecord {
  const text = `message ${number}`;
  return {
    text,
    time: new Date(Date.UTC(2026, 10, 21, 10, 0, number)).toISOString(),
    fields: { message: text, number },
    origin: { path: "/var/log/app.log", key: "key" },
    end: (number + 1) * 100,
    ...change,
  };
}

export function makeBatch(sink: Sink, count: number): Piece[] {
  return Array.from({ length: count }, (_, number) => sink.encode(makeRecord(number)));
}

/** Sends without ever giving up. */
export function send(sink: Sink, batch: readonly Piece[]): Promise<Outcome> {
  return sink.send(batch, new AbortController().signal);
}

/** An outcome with its error as `CODE: message`, to compare as a whole. */
export function plain(outcome: Outcome): unknown {
  if (outcome.kind !== "unavailable") return outcome;
  const { because } = outcome;
  const code = because instanceof Error && "code" in because ? `${String(because.code)}: ` : "";
  return { ...outcome, because: `${code}${because instanceof Error ? because.message : String(because)}` };
}

export const DELIVERED: Outcome = { kind: "answered", refusals: [] };
