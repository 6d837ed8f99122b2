/** Routes beside the Kubernetes API, for example the command line's image management. */
import { messageOf, Problem } from "../../kernel/problem.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { Answer, ApiRequest } from "./exchange.ts";

export type ExtensionMethod = "GET" | "POST" | "DELETE";

export interface ExtensionCall {
  readonly method: ExtensionMethod;
  /** Below the prefix, with its query. */
  readonly path: string;
  /** Parsed JSON; absent when the request has no body. */
  readonly body?: unknown;
}

export interface ApiExtension {
  /** With slashes at both ends, for example `/pillion/v1/`. */
  readonly prefix: string;
  /** Each object becomes one line of JSON. A `Problem` or `StatusError` before the first one is the HTTP answer. */
  handle(call: ExtensionCall): AsyncIterable<object>;
}

/** Newline-delimited JSON, at the reader's pace. */
export async function extensionAnswer(extension: ApiExtension, request: ApiRequest): Promise<Answer> {
  const { method } = request;
  if (method !== "GET" && method !== "POST" && method !== "DELETE") {
    throw new StatusError(
      "MethodNotAllowed",
      "the server does not allow this method on the requested resource",
    );
  }
  const body = await readJson(request);
  const query = request.query.toString();
  const path = request.path.slice(extension.prefix.length) + (query === "" ? "" : `?${query}`);
  const call: ExtensionCall = { method, path, ...(body === undefined ? {} : { body }) };
  const stream = extension.handle(call);
  const lines = stream[Symbol.asyncIterator]();
  let next = await firstOf(lines);
  return {
    kind: "stream",
    contentType: "application/x-ndjson",
    async run(sink) {
      try {
        for (; next.done !== true && !sink.signal.aborted; next = await lines.next()) {
          if (!sink.write(`${JSON.stringify(next.value)}\n`)) await sink.drained();
        }
      } finally {
        await lines.return?.();
      }
    },
  };
}

async function firstOf(lines: AsyncIterator<object>): Promise<IteratorResult<object>> {
  try {
    return await lines.next();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new StatusError("BadRequest", error.message, {
      causes: [{ reason: error.code, message: error.fix }],
    });
  }
}

async function readJson(request: ApiRequest): Promise<unknown> {
  const bytes = await request.readBody();
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch (error) {
    throw new StatusError("BadRequest", `the body is not JSON: ${messageOf(error)}`);
  }
}
