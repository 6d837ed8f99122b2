/** Asks one webhook over HTTPS: one connection, one request, one answer, within its time. */
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../../kernel/clock.ts";
import { messageOf } from "../../../kernel/problem.ts";
import { goQuote } from "../../../k8s/go-format.ts";
import { type HttpResponse, ResponseReader } from "../../../k8s/http-response.ts";
import { brokenError, DeadlineError, dialError, NetworkError } from "../../../k8s/network-error.ts";
import { WebhookFailure } from "../../../k8s/webhooks/admission-review.ts";
import type { WebhookClientConfig } from "../../../k8s/webhooks/webhook.ts";
import type { JsonObject } from "../../../lib/frozen-json.ts";
import type { Store } from "../../store/store.ts";
import { serverErrorText } from "./server-response.ts";
import { serviceEndpoint } from "./service-endpoint.ts";
import { tlsErrorText, wrongHost } from "./tls-error.ts";

/** Connects to an address of the pod network. Rejects with the kernel's error, or with the signal's reason. */
export type ConnectService = (
  to: { readonly ip: string; readonly port: number },
  signal: AbortSignal,
) => Promise<Duplex>;

export interface CallParts {
  readonly store: Pick<Store, "get" | "list">;
  readonly clock: Clock;
  readonly connectService: ConnectService;
}

export interface WebhookCall {
  readonly clientConfig: WebhookClientConfig;
  readonly body: JsonObject;
  readonly timeoutSeconds: number;
  /** Each ends it early, when nobody waits any more. */
  readonly signals?: readonly AbortSignal[];
}

/** Of an answer, in bytes: objects have at most 1.5 MB, and a patch may replace a whole one. */
const MOST_BYTES = 4 * 1024 * 1024;
const HTTPS_PORT = 443;

/** The body of the answer. Rejects with `WebhookFailure`. */
export async function callWebhook(call: WebhookCall, parts: CallParts): Promise<string> {
  const target = targetOf(call);
  const ended = new AbortController();
  const cancel = parts.clock.schedule(call.timeoutSeconds * 1000, () => ended.abort(new DeadlineError()));
  const leave = () => ended.abort(new NetworkError("context canceled"));
  const { signals = [] } = call;
  for (const signal of signals) signal.addEventListener("abort", leave, { once: true });
  if (signals.some(({ aborted }) => aborted)) leave();
  try {
    const response = await exchange(target, call, { ...parts, signal: ended.signal });
    const refusal = serverErrorText(response);
    if (refusal !== undefined) throw new WebhookFailure(`failed to call webhook: ${refusal}`);
    if (Buffer.byteLength(response.body) <= MOST_BYTES) return response.body;
    throw new WebhookFailure(`failed to call webhook: the answer has more than ${MOST_BYTES} bytes`);
  } catch (error) {
    if (error instanceof WebhookFailure) throw error;
    const why = ended.signal.aborted ? messageOf(ended.signal.reason) : messageOf(error);
    throw new WebhookFailure(`failed to call webhook: Post ${goQuote(target.url)}: ${why}`, { cause: error });
  } finally {
    cancel();
    for (const signal of signals) signal.removeEventListener("abort", leave);
  }
}

interface Target {
  /** As errors name it. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  readonly path: string;
}

function targetOf({ clientConfig: { url, service }, timeoutSeconds }: WebhookCall): Target {
  const query = `?timeout=${timeoutSeconds}s`;
  if (service !== undefined) {
    const { name, namespace, port = HTTPS_PORT } = service;
    const host = `${name}.${namespace}.svc`;
    const authority = `${host}:${port}`;
    const path = `${pathOf(service.path ?? "")}${query}`;
    return { url: `https://${authority}${path}`, host, port, authority, path };
  }
  const parsed = URL.parse(url ?? "");
  if (parsed === null) throw new WebhookFailure("webhook configuration must have either service or URL");
  const path = `${pathOf(parsed.pathname)}${query}`;
  return {
    url: `https://${parsed.host}${path}`,
    host: parsed.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: parsed.port === "" ? HTTPS_PORT : Number(parsed.port),
    authority: parsed.host,
    path,
  };
}

/** Go's `path.Join` takes a slash at the end away. */
function pathOf(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  return trimmed.startsWith("/") ? trimmed : `/${trimmed}`;
}

type Running = CallParts & { readonly signal: AbortSignal };

async function exchange(target: Target, call: WebhookCall, running: Running): Promise<HttpResponse> {
  const { signal } = running;
  signal.throwIfAborted();
  const raw = await dial(target, call, running);
  const { promise, resolve, reject } = Promise.withResolvers<HttpResponse>();
  // It may reject while TLS is still being loaded.
  promise.catch(() => undefined);
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  raw.on("error", (cause) => reject(brokenError("read", target.authority, cause)));
  let stream: TLSSocket | undefined;
  try {
    signal.throwIfAborted();
    stream = await startTls(raw, target.host, call.clientConfig);
    readResponse(stream, { resolve, reject, authority: target.authority });
    stream.write(requestText(target, call.body));
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    stream?.destroy();
    raw.destroy();
  }
}

interface Settling {
  readonly resolve: (response: HttpResponse) => void;
  readonly reject: (error: unknown) => void;
  readonly authority: string;
}

function readResponse(stream: TLSSocket, { resolve, reject, authority }: Settling): void {
  const reader = new ResponseReader(MOST_BYTES + 1);
  const attempt = (step: () => void): void => {
    try {
      step();
      if (reader.isDone) resolve(reader.response());
    } catch (error) {
      reject(error);
    }
  };
  stream.on("error", (cause) => {
    const text = cause instanceof NetworkError ? cause.message : tlsErrorText(cause);
    reject(text === undefined ? brokenError("read", authority, cause) : new NetworkError(text, { cause }));
  });
  stream.on("data", (chunk: Uint8Array) => attempt(() => reader.push(chunk)));
  stream.on("end", () => attempt(() => reader.end()));
  stream.on("close", () => attempt(() => reader.end()));
}

async function startTls(
  socket: Duplex,
  host: string,
  { caBundle = "" }: WebhookClientConfig,
): Promise<TLSSocket> {
  // Loaded only where there are webhooks.
  const { connect } = await import("node:tls");
  const ca = Buffer.from(caBundle, "base64").toString("utf8");
  try {
    return connect({
      socket,
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(caBundle === "" ? {} : { ca }),
      checkServerIdentity: (_, certificate) => wrongHost(host, certificate),
    });
  } catch (cause) {
    if (caBundle === "") throw cause;
    const why = "unable to load root certificates: unable to parse bytes as PEM block";
    throw new WebhookFailure(`could not get REST client: ${why}`, { cause });
  }
}

function requestText({ authority, path }: Target, body: JsonObject): Buffer {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: ${authority}`,
    "User-Agent: kube-apiserver-admission",
    `Content-Length: ${bytes.length}`,
    "Accept: application/json, */*",
    "Content-Type: application/json",
    "Connection: close",
  ].join("\r\n");
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`), bytes]);
}

async function dial(
  { host, port }: Target,
  { clientConfig: { service } }: WebhookCall,
  { store, connectService, signal }: Running,
): Promise<Duplex> {
  const isService = service !== undefined;
  const to = isService
    ? serviceEndpoint(store, { ...service, port })
    : { ip: await beforeEnd(resolveHost(host), signal), port };
  try {
    return await (isService ? connectService(to, signal) : connectMachine(to, signal));
  } catch (cause) {
    signal.throwIfAborted();
    throw dialError(to.ip.includes(":") ? `[${to.ip}]:${to.port}` : `${to.ip}:${to.port}`, cause);
  }
}

/** Rejects with the signal's reason as soon as there is one. */
async function beforeEnd<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, ended]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function resolveHost(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new NetworkError(`dial tcp: lookup ${host}: no such host`, { cause });
  }
}

/** From this machine, where the API runs. */
export const connectMachine: ConnectService = async ({ ip, port }, signal) => {
  const socket = connectTcp({ host: ip, port, noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("connect", resolve);
  socket.once("error", reject);
  try {
    await beforeEnd(promise, signal);
    return socket;
  } catch (error) {
    socket.on("error", () => undefined).destroy();
    throw error;
  } finally {
    socket.off("error", reject);
  }
};
