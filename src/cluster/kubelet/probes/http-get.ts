/** A httpGet with the redirects that the kubelet follows (pkg/probe/http). */
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { BodyError, httpExchange } from "./http-exchange.ts";
import type { HttpResponse } from "../../../k8s/http-response.ts";
import { type HttpRequest, type HttpTarget, urlOf } from "./http-target.ts";
import { NetworkError } from "../../../k8s/network-error.ts";
import { goQuote } from "../../../k8s/go-format.ts";

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MAX_REQUESTS = 10;

/**
 * The last answer: a redirect when it leads to another host. Rejects with `NetworkError`, whose text begins with
 * `Get "URL": ` unless it is a `BodyError`.
 */
export async function httpGet(
  sandbox: Pick<Sandbox, "connect">,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<HttpResponse> {
  let current = request;
  for (let requests = 1; ; requests++) {
    const response = await getOnce(sandbox, current, signal);
    const location = response.headers.get("location") ?? "";
    if (!REDIRECTS.has(response.status) || location === "") return response;
    const next = redirected(current, location);
    if (next.target.host !== request.target.host) return response;
    if (requests >= MAX_REQUESTS)
      throw new NetworkError(`Get ${goQuote(location)}: stopped after ${MAX_REQUESTS} redirects`);
    current = next;
  }
}

async function getOnce(
  sandbox: Pick<Sandbox, "connect">,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const url = urlOf(request.target);
  try {
    // Go looks at the values that it is about to send, not at those of the specification.
    const bad = request.headers.find(([, value]) => /[^\t\x20-\x7e\x80-\uffff]/.test(value));
    if (bad !== undefined)
      throw new NetworkError(`net/http: invalid header field value for ${goQuote(bad[0])}`);
    return await httpExchange(sandbox, request, signal);
  } catch (cause) {
    if (cause instanceof BodyError || !(cause instanceof NetworkError)) throw cause;
    const message = `Get ${goQuote(url)}: ${cause.message}`;
    throw new NetworkError(message, { cause });
  }
}

/** A Host header of the user's own lives as long as the locations are relative; a Referer tells where one comes from. */
function redirected(request: HttpRequest, location: string): HttpRequest {
  const { target } = request;
  const isAbsolute = /^(?:[a-z][a-z\d+.-]*:|\/\/)/i.test(location);
  const next = resolve(target, location, isAbsolute);
  const headers = request.headers.filter(([name]) => name !== "Referer");
  const hasReferer = target.scheme === "http" || next.scheme === "https";
  const referer = [["Referer", urlOf(target)]] as const;
  return {
    target: next,
    hostHeader: isAbsolute ? undefined : request.hostHeader,
    headers: hasReferer ? [...headers, ...referer] : headers,
  };
}

function resolve(base: HttpTarget, location: string, isAbsolute: boolean): HttpTarget {
  let url: URL;
  try {
    url = new URL(location, urlOf(base));
  } catch (cause) {
    const message = `failed to parse Location header ${goQuote(location)}: invalid URL`;
    throw new NetworkError(`Get ${goQuote(urlOf(base))}: ${message}`, { cause });
  }
  const path = url.pathname + url.search;
  if (!isAbsolute) return { ...base, path };
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    const message = `unsupported protocol scheme ${goQuote(url.protocol.slice(0, -1))}`;
    throw new NetworkError(`Get ${goQuote(location)}: ${message}`);
  }
  const scheme = url.protocol === "https:" ? "https" : "http";
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (scheme === "https" ? 443 : 80) : Number(url.port);
  return { scheme, host, port, authority: url.host, path };
}
