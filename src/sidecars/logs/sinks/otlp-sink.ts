/** Delivers to any OpenTelemetry receiver by OTLP/HTTP with JSON (OpenTelemetry protocol specification 1.x, "OTLP/HTTP"). */
import { z } from "zod";
import type { Host } from "../../../kernel/host.ts";
import { limitsOf } from "./batch-options.ts";
import { httpOptions } from "./http-options.ts";
import { HttpSender, refusalOf, shorten } from "./http-sender.ts";
import { encodeLogRecord, resourceAttributes } from "./otlp-record.ts";
import { answerProblem } from "./receiver-problems.ts";
import type { Outcome, Piece, Sink } from "./sink.ts";

const LOGS_PATH = "/v1/logs";

export function otlpOptions() {
  return z
    .strictObject({
      ...httpOptions({
        example: "http://otel-collector:4318",
        batch: { size: "512Ki", records: 1_000, wait: "1s" },
        compressions: ["gzip", "zstd", "none"],
      }),
      resource: z
        .record(z.string().min(1), z.string())
        .default({})
        .describe(
          "Attributes of the resource, for example `{ service.name: shop }`; those of the pod are added.",
        ),
    })
    .describe("Sends to an OpenTelemetry collector or backend (OTLP/HTTP, JSON).");
}

export type OtlpOptions = z.output<ReturnType<typeof otlpOptions>>;

export function createOtlpSink(name: string, options: OtlpOptions, host: Host): Sink {
  const sender = new HttpSender({ host, sink: name, options, url: logsUrl(options.url) });
  const attributes = JSON.stringify(resourceAttributes(host.pod, options.resource));
  const opening = `{"resourceLogs":[{"resource":{"attributes":${attributes}},"scopeLogs":[{"scope":{"name":"pillion"},"logRecords":[`;
  return {
    name,
    limits: limitsOf(options.batch),
    encode: (record) => encodeLogRecord(record, host),
    async send(batch, signal): Promise<Outcome> {
      const body = `${opening}${joined(batch)}]}]}]}`;
      const answer = await sender.post({ body, contentType: "application/json" }, signal);
      if (answer.kind === "unavailable") return answer;
      if (answer.status >= 300) return refusalOf(answer);
      const rejected = readPartialSuccess(answer.text);
      if (answer.isWhole && rejected !== undefined) return outcomeOf(rejected, batch.length);
      return { kind: "unavailable", because: answerProblem(sender.target, "its answer is not that of OTLP") };
    },
    async close() {
      sender.close();
    },
  };
}

function logsUrl(text: string): string {
  const url = new URL(text);
  if (!url.pathname.endsWith(LOGS_PATH)) url.pathname = url.pathname.replace(/\/$/, "") + LOGS_PATH;
  return url.href;
}

function joined(batch: readonly Piece[]): string {
  let records = "";
  for (const { text } of batch) records += records === "" ? text : `,${text}`;
  return records;
}

const PartialSuccess = z.object({
  // An int64: a decimal string in protobuf's JSON, but receivers that write a number are about.
  rejectedLogRecords: z.coerce.number().int().nonnegative().default(0),
  errorMessage: z.string().default(""),
});
const Answer = z.object({ partialSuccess: PartialSuccess.nullish() });

type Rejected = z.output<typeof PartialSuccess>;

/** Undefined for what is no answer of OTLP. An empty body is one: every field of the message is optional. */
function readPartialSuccess(text: string): Rejected | undefined {
  if (text.trim() === "") return { rejectedLogRecords: 0, errorMessage: "" };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const answer = Answer.safeParse(value);
  return answer.success
    ? (answer.data.partialSuccess ?? { rejectedLogRecords: 0, errorMessage: "" })
    : undefined;
}

/**
 * OTLP says how many records were rejected and not which, and forbids to send the request again ("Partial Success": the
 * client MUST NOT retry). Narrowing down would send the accepted ones again and again, counting alone would lose the rejected
 * ones. So the whole batch goes to the dead letters: what was rejected is among them, nothing is sent twice unless somebody
 * replays it, and batches are small for that reason.
 */
function outcomeOf({ rejectedLogRecords: count, errorMessage }: Rejected, total: number): Outcome {
  if (count === 0) return { kind: "answered", refusals: [] };
  const some =
    count < total
      ? `${count} of the ${total} records sent with this one were rejected, OTLP does not say which`
      : "rejected";
  const reason = shorten(errorMessage === "" ? some : `${some}: ${errorMessage}`);
  const refusals = Array.from({ length: total }, (_, index) => ({ index, isRetryable: false, reason }));
  return { kind: "answered", refusals };
}
