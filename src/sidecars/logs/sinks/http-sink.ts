/** Delivers to any HTTP receiver that takes JSON: one POST per batch, any 2xx acknowledges it. */
import { z } from "zod";
import type { Host } from "../../../kernel/host.ts";
import { limitsOf } from "./batch-options.ts";
import { httpOptions } from "./http-options.ts";
import { HttpSender, refusalOf } from "./http-sender.ts";
import { lineOf, linesOf } from "./line-format.ts";
import type { Outcome, Piece, Sink } from "./sink.ts";

export function httpSinkOptions() {
  return z
    .strictObject({
      ...httpOptions({
        example: "https://logs.internal/in",
        batch: { size: "1Mi", records: 10_000, wait: "1s" },
        compressions: ["none", "gzip", "zstd"],
      }),
      format: z
        .enum(["ndjson", "json"])
        .prefault("ndjson")
        .describe("`ndjson`: one object per line. `json`: one array of objects."),
    })
    .describe("Sends JSON by HTTP POST. Any 2xx answer acknowledges the batch.");
}

export type HttpSinkOptions = z.output<ReturnType<typeof httpSinkOptions>>;

export function createHttpSink(name: string, options: HttpSinkOptions, host: Host): Sink {
  const sender = new HttpSender({ host, sink: name, options, url: options.url });
  const bodyOf = options.format === "ndjson" ? linesOf : arrayOf;
  const contentType = options.format === "ndjson" ? "application/x-ndjson" : "application/json";
  return {
    name,
    limits: limitsOf(options.batch),
    encode: lineOf("json"),
    async send(batch, signal): Promise<Outcome> {
      const answer = await sender.post({ body: bodyOf(batch), contentType }, signal);
      if (answer.kind === "unavailable") return answer;
      // The status is the acknowledgement, whatever becomes of the body behind it.
      return answer.status < 300 ? { kind: "answered", refusals: [] } : refusalOf(answer);
    },
    async close() {
      sender.close();
    },
  };
}

function arrayOf(batch: readonly Piece[]): string {
  return `[${batch.map(({ text }) => text).join(",")}]`;
}
