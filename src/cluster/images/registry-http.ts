/** One HTTP request to a registry: streaming, with time limits, and with errors that say what happened on the way. */
import { request as httpRequest } from "node:http";
import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import tls from "node:tls";
import type { Clock } from "../../kernel/clock.ts";
import type { ByteStream } from "./byte-streams.ts";

export interface HttpOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Proxy for a URL, if any; see `proxyFrom`. */
  readonly proxy?: ((url: URL) => string | undefined) | undefined;
  /** Certificates (PEM) to trust besides the built-in ones. */
  readonly ca?: string | undefined;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

export interface HttpAnswer {
  readonly status: number;
  /** Value of a header, by lower-case name. */
  readonly header: (name: string) => string | undefined;
  /** Rejects with `RegistryUnreachable` when the connection breaks or stalls. */
  readonly body: ByteStream;
  /** Gives the connection up; for answers whose body is not read to its end. */
  readonly discard: () => void;
}

/** The registry could not be talked to. `message` goes on after "cannot pull …: ". */
export class RegistryUnreachable extends Error {
  /** Trying again soon may help: the connection was there and broke. */
  readonly isTransient: boolean;

  constructor(message: string, isTransient: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = "RegistryUnreachable";
    this.isTransient = isTransient;
  }
}

const ANSWER_MS = 30_000;
const IDLE_MS = 60_000;

/** Sends one request; follows no redirect. Rejects with `RegistryUnreachable`, or with the signal's reason. */
export async function sendRequest(request: HttpRequest, options: HttpOptions): Promise<HttpAnswer> {
  const { url } = request;
  const limit = new TimeLimit(options);
  limit.restart(ANSWER_MS, `${url.host} did not answer within ${ANSWER_MS / 1000} s`);
  const proxy = options.proxy?.(url);
  try {
    const answer = await (proxy === undefined
      ? sendDirect(request, options, limit.signal)
      : sendThroughProxy(request, { proxy, ca: options.ca, signal: limit.signal }));
    const body = watched(answer.body, { url, limit, options });
    return { status: answer.status, header: answer.header, body, discard: () => limit.end(true) };
  } catch (because) {
    limit.end(true);
    options.signal?.throwIfAborted();
    throw limit.expired ?? toUnreachable(because, url, proxy);
  }
}

/** Aborts when the outer signal does or the time is up, and knows which. */
class TimeLimit {
  readonly #clock: Clock;
  readonly #outer: AbortSignal | undefined;
  readonly #controller = new AbortController();
  readonly #abort = (): void => this.#controller.abort();
  #cancel: () => void = () => undefined;
  expired: RegistryUnreachable | undefined;

  constructor({ clock, signal }: HttpOptions) {
    this.#clock = clock;
    this.#outer = signal;
    signal?.throwIfAborted();
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  restart(ms: number, message: string): void {
    this.#cancel();
    this.#cancel = this.#clock.schedule(ms, () => {
      this.expired = new RegistryUnreachable(message, true);
      this.#abort();
    });
  }

  pause(): void {
    this.#cancel();
  }

  end(isAborted: boolean): void {
    this.#cancel();
    this.#outer?.removeEventListener("abort", this.#abort);
    if (isAborted) this.#abort();
  }
}

interface Watch {
  readonly url: URL;
  readonly limit: TimeLimit;
  readonly options: HttpOptions;
}

async function* watched(source: ByteStream, { url, limit, options }: Watch): AsyncGenerator<Uint8Array> {
  const stalled = `${url.host} sent nothing for ${IDLE_MS / 1000} s`;
  let isWhole = false;
  try {
    limit.restart(IDLE_MS, stalled);
    for await (const chunk of source) {
      // Only the other side's silence counts, not the time that our reader takes.
      limit.pause();
      yield chunk;
      limit.restart(IDLE_MS, stalled);
    }
    isWhole = true;
  } catch (because) {
    options.signal?.throwIfAborted();
    throw (
      limit.expired ??
      new RegistryUnreachable(`the connection to ${url.host} broke`, true, { cause: because })
    );
  } finally {
    limit.end(!isWhole);
  }
}

interface RawAnswer {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: ByteStream;
}

function sendDirect(
  { method, url, headers }: HttpRequest,
  { ca }: HttpOptions,
  signal: AbortSignal,
): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const trust = ca === undefined ? {} : { ca: trusted(ca) };
  const request = send(
    url,
    { method, headers, signal, agent: false, ...trust },
    (answer: IncomingMessage) => {
      // A connection that breaks is reported to whoever reads the body; without a reader it must not end the process.
      answer.on("error", () => undefined);
      resolve({
        status: answer.statusCode ?? 0,
        header(name) {
          const value = answer.headers[name];
          return Array.isArray(value) ? value.join(", ") : value;
        },
        body: answer,
      });
    },
  );
  request.on("error", reject);
  request.end();
  return promise;
}

interface ProxyRoute {
  readonly proxy: string;
  readonly ca: string | undefined;
  readonly signal: AbortSignal;
}

/** `fetch` knows CONNECT; it is not used otherwise because it would read the proxy variables by itself. */
async function sendThroughProxy(
  { method, url, headers }: HttpRequest,
  route: ProxyRoute,
): Promise<RawAnswer> {
  const { proxy, ca, signal } = route;
  const answer = await fetch(url, {
    method,
    headers,
    signal,
    proxy,
    redirect: "manual",
    decompress: false,
    ...(ca === undefined ? {} : { tls: { ca: trusted(ca) } }),
  });
  return {
    status: answer.status,
    header: (name) => answer.headers.get(name) ?? undefined,
    body: answer.body ?? noBody(),
  };
}

/** The machine's roots are decoded when somebody asks for them, which takes memory that most engines never need. */
function trusted(ca: string): string[] {
  return [...tls.rootCertificates, ca];
}

async function* noBody(): AsyncGenerator<Uint8Array> {}

const SENTENCES: Readonly<Record<string, (host: string) => string>> = {
  ENOTFOUND: (host) => `no such host ${host} (is this machine online?)`,
  EAI_AGAIN: (host) => `the name of ${host} cannot be looked up (is this machine online?)`,
  EHOSTUNREACH: (host) => `no route to ${host}`,
  ENETUNREACH: (host) => `no route to ${host}`,
  ECONNREFUSED: (host) => `${host} refuses connections`,
  ETIMEDOUT: (host) => `${host} does not answer`,
  EPROTO: (host) => `${host} does not speak TLS`,
  ERR_SSL_WRONG_VERSION_NUMBER: (host) => `${host} does not speak TLS`,
  ERR_TLS_CERT_ALTNAME_INVALID: (host) => `the certificate of ${host} is for another host`,
  CERT_HAS_EXPIRED: (host) => `the certificate of ${host} has expired`,
};
const TRANSIENT: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "UND_ERR_SOCKET"]);

function toUnreachable(because: unknown, url: URL, proxy: string | undefined): RegistryUnreachable {
  const code = because instanceof Error && "code" in because ? String(because.code) : "";
  const host = proxy === undefined ? url.host : `${url.host} through the proxy`;
  const known = SENTENCES[code]?.(host);
  const isCertificate = /CERT|SIGNED|ISSUER|CHAIN|VERIFY/.test(code);
  const untrusted = isCertificate ? `the certificate of ${host} is not trusted (${code})` : undefined;
  const message = known ?? untrusted ?? `the connection to ${host} failed${code === "" ? "" : ` (${code})`}`;
  return new RegistryUnreachable(message, TRANSIENT.has(code), { cause: because });
}
