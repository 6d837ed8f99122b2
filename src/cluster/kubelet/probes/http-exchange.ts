/** One request and its answer over a connection of its own, plain or TLS. */
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { dial } from "./dial.ts";
import { type HttpResponse, ResponseReader } from "../../../k8s/http-response.ts";
import { type HttpRequest, requestText } from "./http-target.ts";
import { brokenError, DeadlineError, NetworkError } from "../../../k8s/network-error.ts";

/** The status came, the rest did not: the kubelet takes that for an error of the probe. */
export class BodyError extends NetworkError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BodyError";
  }
}

/** A server of plain HTTP where TLS was meant. */
export class NotTlsError extends NetworkError {
  constructor(options?: ErrorOptions) {
    super("http: server gave HTTP response to HTTPS client", options);
    this.name = "NotTlsError";
  }
}

/** What the kubelet reads of a body. */
const BODY_BYTES = 10 * 1024;

/** Rejects with `NetworkError`, also when the signal aborts. The connection is gone when it settles. */
export async function httpExchange(
  sandbox: Pick<Sandbox, "connect">,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const reader = new ResponseReader(BODY_BYTES);
  let raw: Duplex | undefined;
  try {
    raw = await dial(sandbox, request.target, signal);
    await converse(raw, { request, reader, signal });
    return reader.response();
  } catch (cause) {
    throw asNetworkError(cause, { reader, signal, authority: request.target.authority });
  } finally {
    raw?.destroy();
  }
}

interface Conversation {
  readonly request: HttpRequest;
  readonly reader: ResponseReader;
  readonly signal: AbortSignal;
}

/** Resolves when the answer is complete. */
async function converse(raw: Duplex, { request, reader, signal }: Conversation): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // It may reject while TLS is still being loaded.
  promise.catch(() => undefined);
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  raw.on("error", reject);
  let stream = raw;
  try {
    if (signal.aborted) onAbort();
    else if (request.target.scheme === "https") stream = await startTls(raw, request.target.host);
    stream.on("error", reject);
    stream.on("data", (chunk: Uint8Array) => attempt(() => reader.push(chunk)));
    stream.on("end", () => attempt(() => reader.end()));
    stream.on("close", () => attempt(() => reader.end()));
    stream.write(requestText(request));
    await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (stream !== raw) stream.destroy();
  }

  function attempt(step: () => void): void {
    try {
      step();
      if (reader.isDone) resolve();
    } catch (error) {
      reject(error);
    }
  }
}

/** TLS without looking at the certificate. An address is no server name. The handshake goes on while the request is written. */
async function startTls(socket: Duplex, host: string): Promise<TLSSocket> {
  // Loaded only by those who probe over TLS.
  const { connect } = await import("node:tls");
  const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
  return connect({ socket, rejectUnauthorized: false, ...servername });
}

function asNetworkError(
  cause: unknown,
  { reader, signal, authority }: Pick<Conversation, "reader" | "signal"> & { readonly authority: string },
): NetworkError {
  const where = reader.hasHead
    ? "(Client.Timeout or context cancellation while reading body)"
    : "(Client.Timeout exceeded while awaiting headers)";
  let message: string;
  if (signal.aborted)
    message =
      signal.reason instanceof DeadlineError ? `${signal.reason.message} ${where}` : "context canceled";
  else if (cause instanceof NetworkError) ({ message } = cause);
  else if (isWrongVersion(cause)) return new NotTlsError({ cause });
  else ({ message } = brokenError("read", authority, cause));
  return reader.hasHead ? new BodyError(message, { cause }) : new NetworkError(message, { cause });
}

/** What BoringSSL says when an answer does not begin as TLS does. */
function isWrongVersion(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SSL_WRONG_VERSION_NUMBER";
}
