/** Takes one HTTP request from its socket to its answer: who asks, what for, and what goes wrong. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { messageOf } from "../../kernel/problem.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { preferredEncoding } from "./accept.ts";
import { routeRequest, type RouterParts } from "./api-router.ts";
import { type Authenticate, refuseBrowsers } from "./authenticate.ts";
import type { Answer } from "./exchange.ts";
import { publicAnswer } from "./health.ts";
import { discardRest, readBody } from "./request-body.ts";
import { pathSegments } from "./resource-path.ts";
import { type AnswerTarget, sendAnswer, sendStatus } from "./send-answer.ts";
import { WarningList } from "./warning-list.ts";

export interface ServeOptions extends RouterParts {
  readonly authenticate: Authenticate;
  readonly isOwnName: (host: string) => boolean;
  /** Told of failures that are bugs; the client gets `InternalError`. */
  readonly onBug: (error: unknown) => void;
}

/** Never rejects. `signal` ends it early, when the server closes. */
export async function serveRequest(
  { incoming, response }: { readonly incoming: IncomingMessage; readonly response: ServerResponse },
  options: ServeOptions,
  closing: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  const abort = () => gone.abort();
  closing.addEventListener("abort", abort);
  response.on("error", abort);
  response.once("close", () => {
    closing.removeEventListener("abort", abort);
    abort();
  });
  const target: AnswerTarget = {
    response,
    acceptEncoding: incoming.headers["accept-encoding"]?.toString(),
    encoding: preferredEncoding(incoming.headers.accept),
    warnings: new WarningList(),
    signal: gone.signal,
  };
  try {
    await sendAnswer(await answerRequest(incoming, options, target), target);
  } catch (error) {
    if (gone.signal.aborted) response.destroy();
    else sendStatus(statusOf(error, options.onBug), target);
  }
  // What is left of a body must not be taken for the connection's next request.
  if (!incoming.complete) discardRest(incoming);
}

function statusOf(error: unknown, onBug: ServeOptions["onBug"]): StatusError {
  if (error instanceof StatusError) return error;
  onBug(error);
  return new StatusError("InternalError", `Internal error occurred: ${messageOf(error)}`);
}

async function answerRequest(
  incoming: IncomingMessage,
  options: ServeOptions,
  { warnings, signal }: AnswerTarget,
): Promise<Answer> {
  const { method = "GET", url = "/", headers } = incoming;
  refuseBrowsers(headers, options.isOwnName);
  const at = url.indexOf("?");
  const path = at < 0 ? url : url.slice(0, at);
  const segments = pathSegments(path);
  const open = publicAnswer(method, segments);
  if (open !== undefined) return open;
  const user = options.authenticate(headers);
  const query = new URLSearchParams(at < 0 ? "" : url.slice(at + 1));
  return await routeRequest(
    {
      method,
      path,
      segments,
      query,
      headers,
      user,
      signal,
      warn: (text) => warnings.add(text),
      readBody: () => readBody(incoming),
    },
    options,
  );
}
