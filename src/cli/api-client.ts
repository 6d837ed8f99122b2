/** Talks to a cluster's API with the kubeconfig that the engine wrote; the same doors kubectl uses. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { messageOf, Problem } from "../kernel/problem.ts";
import type { KubeObject } from "../k8s/object.ts";
import { StatusError, type StatusReason } from "../k8s/status-error.ts";

interface Kubeconfig {
  readonly clusters: readonly [
    { readonly cluster: { readonly server: string; readonly "certificate-authority-data": string } },
  ];
  readonly users: readonly [{ readonly user: { readonly token: string } }];
}

export interface ApiRequest {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** Gets each `Warning` of the answer. */
  readonly onWarning?: (text: string) => void;
}

export interface ListResponse {
  readonly items: readonly KubeObject[];
  readonly metadata: { readonly resourceVersion: string };
}

export interface WatchLine {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: KubeObject;
}

export class ApiClient {
  readonly #server: string;
  readonly #ca: string;
  readonly #token: string;

  /** Reads the kubeconfig now. `E_KUBECONFIG` when it is missing or not ours. */
  constructor(kubeconfig: string) {
    try {
      const { clusters, users } = parse(readFileSync(kubeconfig, "utf8")) as Kubeconfig;
      this.#server = clusters[0].cluster.server;
      this.#ca = Buffer.from(clusters[0].cluster["certificate-authority-data"], "base64").toString();
      this.#token = users[0].user.token;
    } catch (cause) {
      throw new Problem({
        code: "E_KUBECONFIG",
        message: `Cannot read the cluster's kubeconfig "${kubeconfig}": ${messageOf(cause)}`,
        fix: "Start the cluster again: `pillion down`, then `pillion up -d`",
        cause,
      });
    }
  }

  /** The parsed answer. Failures of the API are `StatusError`; no answer at all is `E_API_UNREACHABLE`. */
  async request<Answer = KubeObject>(path: string, request: ApiRequest = {}): Promise<Answer> {
    const response = await this.open(path, request);
    return (await response.json()) as Answer;
  }

  /** Like `request`, undefined when the object does not exist. */
  async find(path: string): Promise<KubeObject | undefined> {
    try {
      return await this.request(path);
    } catch (error) {
      if (error instanceof StatusError && error.reason === "NotFound") return undefined;
      throw error;
    }
  }

  /** The answer as it comes, for streams. */
  async open(path: string, request: ApiRequest = {}): Promise<Response> {
    const {
      method = "GET",
      body,
      contentType = "application/json",
      accept = "application/json",
      signal,
      onWarning,
    } = request;
    let response: Response;
    try {
      response = await fetch(`${this.#server}${path}`, {
        method,
        headers: {
          Accept: accept,
          Authorization: `Bearer ${this.#token}`,
          ...(body === undefined ? {} : { "Content-Type": contentType }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
        tls: { ca: this.#ca },
        // A quiet container's log says nothing for hours; Bun would give up after five minutes.
        timeout: false,
      });
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw this.#unreachable(cause);
    }
    if (onWarning !== undefined) warningsOf(response.headers).forEach(onWarning);
    if (!response.ok) throw await statusErrorOf(response);
    return response;
  }

  /** Lines of a stream until it ends or `signal` aborts. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<string> {
    yield* this.linesOf(await this.open(path, { signal }), signal);
  }

  /** Lines of an answer that is open already. `E_API_UNREACHABLE` when the connection breaks. */
  async *linesOf(response: Response, signal: AbortSignal): AsyncGenerator<string> {
    let rest = "";
    try {
      for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const parts = (rest + text).split("\n");
        rest = parts.pop() ?? "";
        yield* parts;
      }
    } catch (error) {
      if (!signal.aborted) throw this.#unreachable(error);
    }
    if (rest !== "") yield rest;
  }

  #unreachable(cause: unknown): Problem {
    return new Problem({
      code: "E_API_UNREACHABLE",
      message: `Cannot reach the cluster at ${this.#server}: ${messageOf(cause)}`,
      fix: "See whether it runs (`pillion ps`), and start it with `pillion up -d`",
      cause,
    });
  }

  /** Events of one collection from a version on. */
  async *watch(collection: string, resourceVersion: string, signal: AbortSignal): AsyncGenerator<WatchLine> {
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(resourceVersion)}`;
    for await (const line of this.lines(`${collection}?${query}`, signal))
      yield JSON.parse(line) as WatchLine;
  }
}

/** The texts of `Warning: 299 - "text"` headers, of which `fetch` makes one (RFC 9111 and 7234, 5.5). */
function warningsOf(headers: Headers): string[] {
  const values = (headers.get("warning") ?? "").matchAll(/\b\d{3} \S+ "((?:[^"\\]|\\.)*)"/g);
  return Array.from(values, ([, quoted = ""]) => quoted.replaceAll(/\\(.)/g, "$1"));
}

async function statusErrorOf(response: Response): Promise<StatusError> {
  const text = await response.text();
  try {
    const status = JSON.parse(text) as { reason?: StatusReason; message?: string; details?: object };
    return new StatusError(status.reason ?? "InternalError", status.message ?? text, status.details);
  } catch {
    return new StatusError(
      "InternalError",
      `the server answered HTTP ${response.status}: ${text.slice(0, 200)}`,
    );
  }
}
