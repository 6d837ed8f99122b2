/** Delivers to Elasticsearch or OpenSearch by `_bulk`, where every document gets an answer of its own. */
import { z } from "zod";
import type { Host } from "../../../kernel/host.ts";
import { limitsOf } from "./batch-options.ts";
import { readBulkAnswer } from "./bulk-answer.ts";
import { httpOptions } from "./http-options.ts";
import { HttpSender, refusalOf } from "./http-sender.ts";
import { createIndexNames, INDEX_PATTERN } from "./index-names.ts";
import { installationId } from "./installation-id.ts";
import { idOf } from "./line-format.ts";
import { answerProblem } from "./receiver-problems.ts";
import { recordJson } from "./record-json.ts";
import type { Outcome, Piece, Sink } from "./sink.ts";

/** Only what tells the documents apart: a full answer is as large as the request. */
const ANSWER_FILTER = "errors,items.*.status,items.*.error.type,items.*.error.reason";
/** Ten thousand refusals with their reasons. */
const ANSWER_BYTES = 16 * 1024 * 1024;

export function elasticsearchOptions() {
  return z
    .strictObject({
      ...httpOptions({
        example: "https://elasticsearch:9200",
        batch: { size: "1Mi", records: 5_000, wait: "1s" },
        compressions: ["gzip", "none"],
      }),
      index: z
        .string()
        .regex(
          INDEX_PATTERN,
          "Write the name of an index or data stream in lower case, for example `logs-app-default` or `logs-app-%{yyyy.MM.dd}`",
        )
        .describe(
          "Index or data stream. `%{yyyy.MM.dd}` stands for the record's date, in UTC; `yyyy`, `MM`, `dd` and `HH` are known.",
        ),
      pipeline: z.string().min(1).optional().describe("An ingest pipeline to send the documents through."),
      timeField: z
        .string()
        .min(1)
        .prefault("@timestamp")
        .describe("The field that holds the time. Data streams need `@timestamp`."),
    })
    .describe("Sends to Elasticsearch or OpenSearch. A batch that is sent again stores nothing twice.");
}

export type ElasticsearchOptions = z.output<ReturnType<typeof elasticsearchOptions>>;

export function createElasticsearchSink(name: string, options: ElasticsearchOptions, host: Host): Sink {
  const sender = new HttpSender({ host, sink: name, options, url: bulkUrl(options) });
  const indexOf = createIndexNames(options.index);
  return {
    name,
    limits: limitsOf(options.batch),
    encode: (record) => ({
      text: recordJson(record, options.timeField),
      group: indexOf(record.time),
      nanos: "",
      id: idOf(record),
    }),
    async send(batch, signal): Promise<Outcome> {
      let salt: string;
      try {
        salt = await installationId(host);
      } catch (because) {
        return { kind: "unavailable", because };
      }
      const request = {
        body: bulkBody(batch, salt),
        contentType: "application/x-ndjson",
        answerBytes: ANSWER_BYTES,
      };
      const answer = await sender.post(request, signal);
      if (answer.kind === "unavailable") return answer;
      if (answer.status >= 300) return refusalOf(answer);
      const outcome = answer.isWhole ? readBulkAnswer(answer.text, batch.length) : undefined;
      if (outcome !== undefined) return outcome;
      const because = answerProblem(sender.target, "its answer is not that of a `_bulk` request");
      return { kind: "unavailable", because };
    },
    async close() {
      sender.close();
    },
  };
}

function bulkUrl({ url: text, pipeline }: ElasticsearchOptions): string {
  const url = new URL(text);
  if (!url.pathname.endsWith("/_bulk")) url.pathname = `${url.pathname.replace(/\/$/, "")}/_bulk`;
  url.searchParams.set("filter_path", ANSWER_FILTER);
  if (pipeline !== undefined) url.searchParams.set("pipeline", pipeline);
  return url.href;
}

/** `create` with an id of our own: what is there already answers 409, and is delivered. Data streams take nothing but `create`. */
function bulkBody(batch: readonly Piece[], salt: string): string {
  let body = "";
  for (const { text, group, id } of batch) {
    body += `{"create":{"_index":"${group}","_id":"${documentId(salt, id, text)}"}}\n${text}\n`;
  }
  return body;
}

/**
 * The place alone is not enough: pods share an index, and a file that was emptied begins at the same offsets again. With the
 * installation and the text in it, equal ids mean the same record. 160 bits: collisions need not be thought of.
 */
function documentId(salt: string, id: string, text: string): string {
  return Bun.CryptoHasher.hash("sha1", `${salt}\n${id}\n${text}`, "base64url");
}
