/** Delivers by syslog, RFC 5424, over TCP (RFC 6587) or TLS (RFC 5425). */
import { isIPv6 } from "node:net";
import { z } from "zod";
import { duration, size } from "../../../kernel/config-types.ts";
import type { Host } from "../../../kernel/host.ts";
import { FACILITIES } from "../syslog-facilities.ts";
import { Problem } from "../../../kernel/problem.ts";
import { batchOptions, limitsOf } from "./batch-options.ts";
import { tlsOptions } from "./http-options.ts";
import { idOf } from "./line-format.ts";
import { answerProblem, connectionProblem, type Target, timeoutProblem } from "./receiver-problems.ts";
import { recordJson } from "./record-json.ts";
import type { Outcome, Piece, Sink } from "./sink.ts";
import { StreamConnection, type StreamTarget } from "./stream-connection.ts";
import { createFrames } from "./syslog-message.ts";
import { TlsFiles } from "./tls-files.ts";

const ADDRESS = /^(tcp|tls):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/;
/** RFC 5425 section 4.1 for TLS; for TCP what every receiver listens on by default. */
const PORTS = { tcp: 514, tls: 6514 } as const;
/** Section 6.3.2: PRINTUSASCII except `=`, space, `]` and `"`. */
const SD_NAME = /^[!#-<>-\\^-~]{1,32}$/;

export function syslogSinkOptions() {
  const params = z.record(z.string().regex(SD_NAME, "Write a name without spaces and quotes"), z.string());
  return z
    .strictObject({
      address: z
        .string()
        .refine(
          (text) => parseAddress(text) !== undefined,
          'Write for example "tcp://syslog:514" or "tls://syslog:6514"',
        )
        .describe(
          "Where to send: `tcp://HOST:PORT` or `tls://HOST:PORT`. The port is 514 or 6514 unless given.",
        ),
      tls: tlsOptions().optional(),
      facility: z.enum(FACILITIES).prefault("user").describe("The facility of every message."),
      hostname: z.string().min(1).optional().describe("HOSTNAME; the pod's name unless given."),
      appName: z
        .string()
        .min(1)
        .optional()
        .describe("APP-NAME; the pod's label `app.kubernetes.io/name` or `app` unless given."),
      procId: z.string().min(1).optional().describe("PROCID; `-` unless given."),
      structuredData: z
        .record(z.string().regex(SD_NAME, "Write an id such as `origin@32473`"), params)
        .default({})
        .describe("Structured data of every message, for example `{ origin@32473: { team: shop } }`."),
      format: z
        .enum(["text", "json"])
        .prefault("text")
        .describe(
          "The message: `text` is the event's `message`, else the event as it was; `json` is an object of all fields.",
        ),
      maxMessage: size()
        .pipe(z.number().min(480, "Write at least 480, which RFC 5424 lets every receiver take"))
        .prefault("8Ki")
        .describe("Longest message that the receiver takes. Longer ones are sent in parts that are marked."),
      timeout: duration()
        .pipe(z.number().positive("Write a time longer than nothing"))
        .prefault("10s")
        .describe("How long one batch may take, from connecting to the last acknowledged byte."),
      batch: batchOptions({ size: "256Ki", records: 5_000, wait: "1s" }),
    })
    .refine(({ address, tls }) => tls === undefined || address.startsWith("tls:"), {
      path: ["tls"],
      message: "Write `tls://` in the address, or leave `tls` out",
    })
    .describe(
      "Sends syslog messages. Syslog has no acknowledgement: one counts as delivered when the receiver's kernel has it.",
    );
}

export type SyslogSinkOptions = z.output<ReturnType<typeof syslogSinkOptions>>;

export function createSyslogSink(name: string, options: SyslogSinkOptions, host: Host): Sink {
  const stream = parseAddress(options.address);
  if (stream === undefined) throw new TypeError("an address that the schema does not let through");
  const connection = new StreamConnection(host, stream);
  const tlsFiles = new TlsFiles(options.tls);
  const target: Target = { sink: name, host: options.address.replace(/^.*\/\//, ""), path: "" };
  const framesOf = createFrames(options, host.pod);
  const send = async (batch: readonly Piece[], signal: AbortSignal): Promise<Outcome> => {
    const limit = new AbortController();
    const cancel = host.schedule(options.timeout, () => limit.abort(timeoutProblem(target, options.timeout)));
    const stop = (): void => limit.abort(answerProblem(target, "the batch was given up"));
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      const tls = await tlsFiles.read();
      await connection.send(Buffer.from(batch.map(({ text }) => text).join("")), tls, limit.signal);
      return { kind: "answered", refusals: [] };
    } catch (thrown) {
      const because = thrown instanceof Problem ? thrown : connectionProblem(target, thrown);
      return { kind: "unavailable", because };
    } finally {
      cancel();
      signal.removeEventListener("abort", stop);
    }
  };
  return {
    name,
    limits: limitsOf(options.batch),
    encode(record) {
      const { message } = record.fields;
      const text =
        options.format === "json" ? recordJson(record) : typeof message === "string" ? message : record.text;
      return { text: framesOf(record, text), group: "", nanos: "", id: idOf(record) };
    },
    send,
    close: () => connection.close(),
  };
}

function parseAddress(text: string): StreamTarget | undefined {
  const [, scheme, bracketed = "", digits] = ADDRESS.exec(text) ?? [];
  if (scheme !== "tcp" && scheme !== "tls") return undefined;
  const hostname = bracketed.replaceAll(/[[\]]/g, "");
  const port = digits === undefined ? PORTS[scheme] : Number(digits);
  if (port < 1 || port > 65_535 || (bracketed.startsWith("[") && !isIPv6(hostname))) return undefined;
  return { hostname, port, isTls: scheme === "tls" };
}
