/** Puts an answer on the wire: encoding, compression, warnings, and streams that never outrun their reader. */
import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { stringify } from "yaml";
import { goQuote } from "../../k8s/go-format.ts";
import type { StatusError } from "../../k8s/status-error.ts";
import { mediaRanges } from "./accept.ts";
import type { Answer, Sink } from "./exchange.ts";
import type { WarningList } from "./warning-list.ts";

/** `defaultGzipThresholdBytes` of the real API server. */
const GZIP_FROM_BYTES = 128 * 1024;
/** Level 1, as the real API server: twice the speed for a tenth more bytes. */
const GZIP_LEVEL = 1;

/** Quoted so that YAML 1.1 readers see strings as strings; objects of the store share parts, which are not aliases. */
const YAML_OPTIONS = { lineWidth: 0, version: "1.1", aliasDuplicateObjects: false } as const;

export interface AnswerTarget {
  readonly response: ServerResponse;
  readonly acceptEncoding: string | undefined;
  readonly encoding: "json" | "yaml";
  readonly warnings: WarningList;
  readonly signal: AbortSignal;
}

export async function sendAnswer(answer: Answer, target: AnswerTarget): Promise<void> {
  const { response } = target;
  for (const text of target.warnings.texts()) response.appendHeader("Warning", `299 - ${quoteWarning(text)}`);
  response.setHeader("Cache-Control", "no-cache, private");
  switch (answer.kind) {
    case "object":
      sendObject(answer, target);
      return;
    case "text":
      for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
      sendBytes(target, { ...answer, body: Buffer.from(answer.body) });
      return;
    case "stream":
      response.writeHead(200, { "Content-Type": answer.contentType });
      response.flushHeaders();
      await answer.run(sinkOf(target));
      response.end();
  }
}

/** A failure as the client libraries expect it: a `Status`, whatever was asked for. */
export function sendStatus(error: StatusError, target: AnswerTarget): void {
  if (target.response.headersSent) {
    target.response.destroy(); // Too late for an answer: the client sees that the stream broke off.
    return;
  }
  const retryAfter = error.details?.retryAfterSeconds;
  if (retryAfter !== undefined) target.response.setHeader("Retry-After", String(retryAfter));
  target.response.setHeader("Cache-Control", "no-cache, private");
  sendObject({ code: error.httpCode, object: error.toStatus() }, target);
}

/** RFC 9110 quoted-string in the way Go's `strconv.Quote` writes it; clients unquote it so. */
function quoteWarning(text: string): string {
  return goQuote(text).replaceAll(/[^\x20-\x7e]/g, "?");
}

function sendObject({ code, object }: { code: number; object: object }, target: AnswerTarget): void {
  const isYaml = target.encoding === "yaml";
  const body = Buffer.from(isYaml ? stringify(object, YAML_OPTIONS) : `${JSON.stringify(object)}\n`);
  sendBytes(target, { code, contentType: isYaml ? "application/yaml" : "application/json", body });
}

function sendBytes(
  { response, acceptEncoding }: AnswerTarget,
  { code, contentType, body }: { readonly code: number; readonly contentType: string; readonly body: Buffer },
): void {
  let bytes = body;
  if (body.length > GZIP_FROM_BYTES && acceptsGzip(acceptEncoding)) {
    bytes = gzipSync(body, { level: GZIP_LEVEL });
    response.setHeader("Content-Encoding", "gzip");
  }
  if (body.length > GZIP_FROM_BYTES) response.setHeader("Vary", "Accept-Encoding");
  response.writeHead(code, { "Content-Type": contentType, "Content-Length": bytes.length });
  response.end(bytes);
}

function acceptsGzip(header: string | undefined): boolean {
  return header !== undefined && mediaRanges(header).some(({ type }) => type === "gzip");
}

function sinkOf({ response, signal }: AnswerTarget): Sink {
  return {
    signal,
    write: (chunk) => !signal.aborted && response.write(chunk),
    drained: () =>
      new Promise((resolve) => {
        if (signal.aborted || !response.writableNeedDrain) return resolve();
        const done = () => {
          response.off("drain", done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        response.once("drain", done);
        signal.addEventListener("abort", done);
      }),
  };
}
