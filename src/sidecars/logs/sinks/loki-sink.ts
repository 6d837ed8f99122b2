/**
 * Delivers to Loki by its push API (`POST /loki/api/v1/push`, JSON). One request per stream: Loki's ingester tells of the last
 * stream's refusals only (`instance.Push` in pkg/ingester/instance.go), so that those of the others would be lost unseen.
 */
import { z } from "zod";
import type { Host, PodIdentity } from "../../../kernel/host.ts";
import { epochNanos } from "../../../lib/rfc3339.ts";
import type { LogRecord } from "../record.ts";
import { limitsOf } from "./batch-options.ts";
import { httpOptions } from "./http-options.ts";
import { HttpSender, refusalOf } from "./http-sender.ts";
import { idOf, lineFormat } from "./line-format.ts";
import { compareNanos, findRefused, type LokiEntry } from "./loki-refusals.ts";
import type { Outcome, Piece, Refusal, Sink } from "./sink.ts";

/** Prometheus' data model; names that begin with two underscores belong to Loki. */
const LABEL_NAME = /^(?!__)[A-Za-z_][A-Za-z0-9_]*$/;
const PUSH_PATH = "/loki/api/v1/push";

export function lokiOptions() {
  const label = z.string().regex(LABEL_NAME, "Write a label's name: letters, digits and underscores");
  return z
    .strictObject({
      ...httpOptions({
        example: "http://loki:3100",
        batch: { size: "1Mi", records: 10_000, wait: "1s" },
        compressions: ["gzip", "none"],
      }),
      tenant: z
        .string()
        .regex(/^[\x21-\x7E]+$/, "Write the tenant's name")
        .optional()
        .describe("Whose logs these are, sent as `X-Scope-OrgID`."),
      labels: z
        .record(label, z.string().min(1))
        .default({})
        .describe("Labels of every stream, for example `{ app: shop }`."),
      pod: z
        .boolean()
        .default(true)
        .describe("Adds the labels `namespace`, `pod` and `node` where they are known."),
      podLabels: z
        .array(z.string().min(1))
        .default([])
        .describe(
          "Labels of the pod to take over; other characters than letters, digits and `_` become `_`.",
        ),
      fieldLabels: z
        .array(label)
        .default([])
        .describe(
          "Fields that become labels, for example `level`. Only ones with few values: each value is a stream.",
        ),
      structuredMetadata: z
        .array(z.string().min(1))
        .default([])
        .describe("Fields to send as structured metadata (Loki 3.0 and later)."),
      line: lineFormat().describe(
        "The line: `json` is an object of all fields, `text` the event as the application wrote it.",
      ),
    })
    .describe("Sends to Grafana Loki, oldest first within each stream.");
}

export type LokiOptions = z.output<ReturnType<typeof lokiOptions>>;

export function createLokiSink(name: string, options: LokiOptions, host: Host): Sink {
  const headers = options.tenant === undefined ? {} : { "x-scope-orgid": options.tenant };
  const sender = new HttpSender({ host, sink: name, options, url: pushUrl(options.url), headers });
  return {
    name,
    limits: limitsOf(options.batch),
    encode: createEncode(options, host),
    send: (batch, signal) => sendStreams(sender, streamsOf(batch), signal),
    async close() {
      sender.close();
    },
  };
}

/** Grafana's own clients take the complete address, people write the host alone. */
function pushUrl(text: string): string {
  const url = new URL(text);
  if (!url.pathname.endsWith("/push")) url.pathname = url.pathname.replace(/\/$/, "") + PUSH_PATH;
  return url.href;
}

/** `Piece.text` is an entry without its time: the line as JSON and, where asked for, its structured metadata. */
function createEncode(options: LokiOptions, host: Host): (record: LogRecord) => Piece {
  const fixed = fixedLabels(options, host.pod);
  const fixedGroup = JSON.stringify(fixed);
  const { fieldLabels, structuredMetadata } = options;
  const isJson = options.line === "json";
  return (record) => {
    const { fields, text, time } = record;
    const line = JSON.stringify(isJson ? JSON.stringify(fields) : text);
    const metadata = structuredMetadata.length === 0 ? undefined : pick(fields, structuredMetadata);
    return {
      text: metadata === undefined ? line : `${line},${JSON.stringify(metadata)}`,
      group:
        fieldLabels.length === 0 ? fixedGroup : JSON.stringify({ ...fixed, ...pick(fields, fieldLabels) }),
      nanos: epochNanos(time) ?? `${host.now()}000000`,
      id: idOf(record),
    };
  };
}

function fixedLabels(options: LokiOptions, pod: PodIdentity): Record<string, string> {
  const labels: Record<string, string> = {};
  const known = { namespace: pod.namespace, pod: pod.name, node: pod.node };
  if (options.pod)
    for (const [name, value] of Object.entries(known)) if (value !== undefined) labels[name] = value;
  for (const key of options.podLabels) {
    const value = pod.labels[key];
    if (value !== undefined && value !== "")
      labels[key.replaceAll(/[^A-Za-z0-9_]/g, "_").replace(/^(\d|__)/, "_$1")] = value;
  }
  Object.assign(labels, options.labels);
  // Loki refuses a stream without labels.
  return Object.keys(labels).length === 0 ? { job: "pillion" } : labels;
}

/** Labels and metadata are strings; what is no scalar or is empty is left out. */
function pick(fields: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = fields[name];
    if (typeof value === "string" ? value !== "" : typeof value === "number" || typeof value === "boolean") {
      picked[name] = String(value);
    }
  }
  return picked;
}

interface Stream {
  readonly labels: string;
  /** Oldest first: Loki measures each entry against the newest one that it has. */
  readonly entries: readonly LokiEntry[];
}

function streamsOf(batch: readonly Piece[]): Stream[] {
  const groups = new Map<string, LokiEntry[]>();
  for (const [index, { text, group, nanos }] of batch.entries()) {
    const entry = { index, nanos, text };
    const entries = groups.get(group);
    if (entries === undefined) groups.set(group, [entry]);
    else entries.push(entry);
  }
  return [...groups].map(([labels, entries]) => ({
    labels,
    entries: entries.sort((a, b) => compareNanos(a.nanos, b.nanos)),
  }));
}

async function sendStreams(
  sender: HttpSender,
  streams: readonly Stream[],
  signal: AbortSignal,
): Promise<Outcome> {
  const refusals: Refusal[] = [];
  for (const [number, stream] of streams.entries()) {
    const outcome = await sendStream(sender, stream, signal);
    if (outcome.kind === "answered") {
      refusals.push(...outcome.refusals);
      continue;
    }
    if (streams.length === 1 || (number === 0 && outcome.kind === "unavailable")) return outcome;
    const isOver = outcome.kind === "unavailable";
    const rest = isOver ? streams.slice(number) : [stream];
    const reason = isOver ? "Loki became unavailable within the batch" : outcome.reason;
    // A single record is hopeless; several are tried again without the other streams, and narrowed down then.
    const isRetryable = isOver || stream.entries.length > 1;
    for (const { entries } of rest)
      for (const { index } of entries) refusals.push({ index, isRetryable, reason });
    if (isOver) break;
  }
  return { kind: "answered", refusals };
}

async function sendStream(
  sender: HttpSender,
  { labels, entries }: Stream,
  signal: AbortSignal,
): Promise<Outcome> {
  let values = "";
  for (const { nanos, text } of entries) values += `${values === "" ? "" : ","}["${nanos}",${text}]`;
  const body = `{"streams":[{"stream":${labels},"values":[${values}]}]}`;
  const answer = await sender.post({ body, contentType: "application/json" }, signal);
  if (answer.kind === "unavailable") return answer;
  if (answer.status < 300) return { kind: "answered", refusals: [] };
  const refused = answer.status === 400 ? findRefused(answer.text, entries) : undefined;
  return refused === undefined ? refusalOf(answer) : { kind: "answered", refusals: refused };
}
