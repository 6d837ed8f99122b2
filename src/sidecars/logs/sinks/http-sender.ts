/** Sends one body at a time to one HTTP receiver and says what it answered; whatever goes wrong is an answer too. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Host, SecretSource } from "../../../kernel/host.ts";
import { Problem } from "../../../kernel/problem.ts";
import type { HttpOptions } from "./http-options.ts";
import {
  answerProblem,
  connectionProblem,
  statusProblem,
  type Target,
  timeoutProblem,
} from "./receiver-problems.ts";
import { retryAfterMs } from "./retry-after.ts";
import type { Outcome } from "./sink.ts";
import { TlsFiles, type TlsMaterial } from "./tls-files.ts";

export type Unavailable = Extract<Outcome, { kind: "unavailable" }>;

/** A status between 200 and 299, or one that is about the records. */
export interface HttpAnswer {
  readonly kind: "answer";
  readonly status: number;
  /** As much of the body as was asked for. */
  readonly text: string;
  /** False where the body was longer than asked for, or broke off. */
  readonly isWhole: boolean;
}

export interface HttpRequest {
  readonly body: string;
  readonly contentType: string;
  /** How much of a good answer is worth reading, bytes. @default {ERROR_BYTES} */
  readonly answerBytes?: number;
}

export interface HttpSenderParts {
  readonly host: Host;
  /** The sink's name. */
  readonly sink: string;
  readonly options: Omit<HttpOptions, "batch" | "url">;
  /** The complete address. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Enough of an error's body to see what it says. */
const ERROR_BYTES = 64 * 1024;
/** One output buffer for most batches: growing it in 16 KiB steps costs a third more. */
const GZIP = { level: 1, chunkSize: 256 * 1024 };
/** What may stand in a header; anything else in a secret would make `fetch` print it. */
const SENDABLE = /^[\t\x20-\x7E]*$/;
const gzipAsync = promisify(gzip);

export class HttpSender {
  readonly target: Target;
  readonly #parts: HttpSenderParts;
  readonly #tlsFiles: TlsFiles;
  #tls: TlsMaterial | undefined;
  #session: Bun.FetchSession | undefined;

  constructor(parts: HttpSenderParts) {
    const { host, pathname } = new URL(parts.url);
    this.#parts = parts;
    this.target = { sink: parts.sink, host, path: pathname };
    this.#tlsFiles = new TlsFiles(parts.options.tls);
  }

  /** Never rejects for what the receiver, the network, a secret or a certificate does. */
  async post(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer | Unavailable> {
    try {
      const [headers, session, body] = await Promise.all([
        this.#headers(request.contentType),
        this.#sessionNow(),
        pack(request.body, this.#parts.options.compress),
      ]);
      return await this.#exchange(request, { method: "POST", headers, body, session }, signal);
    } catch (because) {
      if (because instanceof Problem) return { kind: "unavailable", because };
      throw because;
    }
  }

  /** Closes idle connections. A request in flight is the caller's to abort. */
  close(): void {
    this.#session?.close();
  }

  async #exchange(
    { answerBytes = ERROR_BYTES }: HttpRequest,
    init: BunFetchRequestInit,
    signal: AbortSignal,
  ): Promise<HttpAnswer | Unavailable> {
    const { host, url, options } = this.#parts;
    const limit = new AbortController();
    const cancelTimer = host.schedule(options.timeout, () => limit.abort());
    const stop = (): void => limit.abort();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      const settings: BunFetchRequestInit = {
        ...init,
        signal: limit.signal,
        redirect: "manual",
        decompress: false,
        // Bun's own idle limit of five minutes must not undercut a longer `timeout`.
        timeout: false,
      };
      const response = await host.fetch(url, settings);
      const isGood = response.status >= 200 && response.status < 300;
      const read = await readBody(response, isGood ? answerBytes : ERROR_BYTES);
      return this.#judge(response, read);
    } catch (thrown) {
      return { kind: "unavailable", because: this.#failure(thrown, limit.signal, signal) };
    } finally {
      cancelTimer();
      signal.removeEventListener("abort", stop);
    }
  }

  #judge({ status, headers }: Response, body: Read): HttpAnswer | Unavailable {
    const isAboutRecords = status === 400 || status === 413 || status === 422;
    if ((status >= 200 && status < 300) || isAboutRecords) return { kind: "answer", status, ...body };
    const because = statusProblem(this.target, status);
    const wish = retryAfterMs(headers.get("retry-after"), this.#parts.host.now());
    return { kind: "unavailable", because, ...(wish === undefined ? {} : { retryAfterMs: wish }) };
  }

  #failure(thrown: unknown, limit: AbortSignal, signal: AbortSignal): Problem {
    if (signal.aborted) return answerProblem(this.target, "the request was given up");
    if (limit.aborted) return timeoutProblem(this.target, this.#parts.options.timeout);
    return connectionProblem(this.target, thrown);
  }

  /** Made anew when certificates have changed: connections with the old ones must not be reused. */
  async #sessionNow(): Promise<Bun.FetchSession> {
    const tls = await this.#tlsFiles.read();
    if (this.#session !== undefined && tls === this.#tls) return this.#session;
    this.#session?.close();
    this.#tls = tls;
    this.#session = new Bun.FetchSession({
      proxy: this.#parts.options.proxy ?? false,
      keepAlive: { maxIdleSockets: 1 },
      ...(tls === undefined ? {} : { tls }),
    });
    return this.#session;
  }

  async #headers(contentType: string): Promise<Record<string, string>> {
    const { options, headers: fixed } = this.#parts;
    const headers: Record<string, string> = {
      "user-agent": "Pillion",
      accept: "application/json",
      "accept-encoding": "identity",
      ...fixed,
      "content-type": contentType,
    };
    if (options.compress !== "none") headers["content-encoding"] = options.compress;
    for (const [name, value] of Object.entries(options.headers)) {
      headers[name.toLowerCase()] = typeof value === "string" ? value : await this.#secret(value);
    }
    const { auth } = options;
    if (auth?.bearer !== undefined) headers["authorization"] = `Bearer ${await this.#secret(auth.bearer)}`;
    if (auth?.apiKey !== undefined) headers["authorization"] = `ApiKey ${await this.#secret(auth.apiKey)}`;
    if (auth?.basic !== undefined) {
      const password = await this.#parts.host.readSecret(auth.basic.password);
      headers["authorization"] = `Basic ${Buffer.from(`${auth.basic.user}:${password}`).toString("base64")}`;
    }
    return headers;
  }

  async #secret(source: SecretSource): Promise<string> {
    const text = await this.#parts.host.readSecret(source);
    if (SENDABLE.test(text)) return text;
    const place = "file" in source ? `file "${source.file}"` : `variable "${source.env}"`;
    throw new Problem({
      code: "E_SINK_SECRET",
      message: `Cannot send the secret in ${place} to ${this.target.sink}: it holds characters that no header can carry`,
      fix: "Put one line of printable ASCII text there",
    });
  }
}

interface Read {
  readonly text: string;
  readonly isWhole: boolean;
}

/** Reads so much and no more: a body that never ends must fill no memory, and a broken one takes nothing back. */
async function readBody(response: Response, maxBytes: number): Promise<Read> {
  const parts: Uint8Array[] = [];
  let length = 0;
  let isWhole = true;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const part = await reader?.read();
      if (part === undefined || part.done) break;
      parts.push(part.value);
      length += part.value.length;
      if (length <= maxBytes) continue;
      isWhole = false;
      await reader?.cancel();
      break;
    }
  } catch {
    isWhole = false;
  }
  const text = Buffer.concat(parts).subarray(0, maxBytes).toString();
  return { text, isWhole };
}

/** On the thread pool, so that other sidecars of this process run meanwhile. A text is sent without another copy of it. */
function pack(body: string, compress: HttpOptions["compress"]): Promise<Buffer> | string {
  if (compress === "none") return body;
  const bytes = Buffer.from(body);
  return compress === "gzip" ? gzipAsync(bytes, GZIP) : Bun.zstdCompress(bytes, { level: 1 });
}

/** The receiver's words as one short line. For dead letters only: they may hold what the record holds. */
export function shorten(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}

/** What 400, 413 and 422 mean for a batch whose records are not answered one by one. */
export function refusalOf({ status, text }: HttpAnswer): Outcome {
  const words = shorten(text);
  const reason = words === "" ? `HTTP ${status}` : `HTTP ${status}: ${words}`;
  return { kind: status === 413 ? "too-large" : "refused", reason };
}
