/** Takes requests that leave HTTP: checks them as any other request, answers 101 or an error, and serves the streams. */
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { messageOf } from "../../../kernel/problem.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import { authorizeRequest } from "../authorize.ts";
import { refuseBrowsers } from "../authenticate.ts";
import { findObject } from "../read-verbs.ts";
import { pathSegments, resolveResource } from "../resource-path.ts";
import { connectOptions } from "../webhooks/connect-options.ts";
import { reviewRequest } from "../webhooks/reviewed-request.ts";
import type { ServeOptions } from "../serve-request.ts";
import { type ByteConnection, socketConnection } from "./byte-connection.ts";
import { streamPlanOf } from "./stream-plans.ts";
import type { StreamPlan } from "./stream-context.ts";
import { NodeRefusal } from "./upgrade-protocol.ts";

export interface UpgradeRequest {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  /** What came behind the headers. */
  readonly head: Buffer;
}

/** Resolves when the connection is over. Never rejects. `closing` ends it early. */
export async function serveUpgrade(
  { incoming, socket, head }: UpgradeRequest,
  options: ServeOptions,
  closing: AbortSignal,
): Promise<void> {
  const connection = socketConnection(socket, head, options.context.clock);
  const close = () => connection.destroy();
  closing.addEventListener("abort", close, { once: true });
  if (closing.aborted) close();
  const progress = { isUpgraded: false };
  try {
    const plan = await planUpgrade(incoming, options, connection.gone);
    progress.isUpgraded = true;
    await connection.write(head101(plan.headers));
    await plan.serve(connection);
  } catch (error) {
    if (!progress.isUpgraded) refuse(connection, error, options.onBug);
    else {
      options.onBug(error);
      connection.destroy();
    }
  } finally {
    connection.end();
    await closed(connection);
    closing.removeEventListener("abort", close);
  }
}

function closed({ gone }: ByteConnection): Promise<void> {
  if (gone.aborted) return Promise.resolve();
  return new Promise((resolve) => gone.addEventListener("abort", () => resolve(), { once: true }));
}

async function planUpgrade(
  incoming: IncomingMessage,
  options: ServeOptions,
  gone: AbortSignal,
): Promise<StreamPlan> {
  const { method = "GET", url = "/", headers } = incoming;
  refuseBrowsers(headers, options.isOwnName);
  const at = url.indexOf("?");
  const path = at < 0 ? url : url.slice(0, at);
  const segments = pathSegments(path);
  const user = options.authenticate(headers);
  authorizeRequest({ method, path, segments, user }, options.context.authorizer);
  const target = resolveResource(segments);
  const { context } = options;
  const plan = streamPlanOf(target);
  if (plan === undefined || target.name === undefined) {
    throw new StatusError("BadRequest", `"${path.slice(0, 200)}" cannot be upgraded to another protocol`);
  }
  if (method !== "GET" && method !== "POST") {
    throw new StatusError(
      "MethodNotAllowed",
      "the server does not allow this method on the requested resource",
    );
  }
  const query = new URLSearchParams(at < 0 ? "" : url.slice(at + 1));
  const found = () => findObject({ context, target: { ...target, name: target.name ?? "" } });
  found();
  if (target.subresource !== undefined) {
    // A stream has no way to warn.
    const request = { user, query, signal: gone, warn: () => undefined };
    const object = connectOptions(target.subresource, query);
    await reviewRequest({ context, request, target }, { operation: "CONNECT", object, dryRun: false });
  }
  return plan({
    pod: found(),
    query,
    headers,
    kubelet: context.kubelet,
    clock: context.clock,
  });
}

function head101(headers: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
}

/** As long as nothing else has been answered. Clients read a `Status` in JSON, and show any other text as it is. */
function refuse(connection: ByteConnection, error: unknown, onBug: ServeOptions["onBug"]): void {
  const [code, type, body] = answerTo(error, onBug);
  const bytes = Buffer.from(body);
  const head = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ""}`,
    `Content-Type: ${type}`,
    `Content-Length: ${bytes.length}`,
    "Cache-Control: no-cache, private",
    "Connection: close",
  ].join("\r\n");
  void connection.write(Buffer.concat([Buffer.from(`${head}\r\n\r\n`), bytes]));
  connection.end();
}

function answerTo(error: unknown, onBug: ServeOptions["onBug"]): [number, string, string] {
  if (error instanceof NodeRefusal) return [error.httpCode, "text/plain; charset=utf-8", error.message];
  if (!(error instanceof StatusError)) onBug(error);
  const status =
    error instanceof StatusError
      ? error
      : new StatusError("InternalError", `Internal error occurred: ${messageOf(error)}`);
  return [status.httpCode, "application/json", `${JSON.stringify(status.toStatus())}\n`];
}
