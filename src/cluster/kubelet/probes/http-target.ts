/** What a httpGet action asks for: address, path and headers, as Go's net/http would send them (pkg/probe/http/request.go). */
import type { Container, HTTPGetAction, HTTPHeader } from "../../../../generated/kubernetes.ts";
import { hostPort } from "./dial.ts";
import { targetPort } from "./target-port.ts";

export interface HttpTarget {
  readonly scheme: "http" | "https";
  /** Name or address, without brackets or port. */
  readonly host: string;
  readonly port: number;
  /** `HOST:PORT` as messages and the Host header have it. */
  readonly authority: string;
  /** Path and query as they are sent. */
  readonly path: string;
}

export interface HttpRequest {
  readonly target: HttpTarget;
  /** Overrides the authority in the Host header. */
  readonly hostHeader: string | undefined;
  /** In the order in which they are sent, without Host. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Minor version of Kubernetes that `User-Agent` names. */
const VERSION = "1.36";
/** Go's Request.Write sets these itself, or never sends them for a GET. */
const NOT_SENT = new Set(["host", "user-agent", "content-length", "transfer-encoding", "trailer"]);

/** Throws an Error with the kubelet's text when the port cannot be found. */
export function httpRequest(
  action: HTTPGetAction,
  container: Pick<Container, "ports">,
  { podIP, purpose }: { readonly podIP: string; readonly purpose: "probe" | "lifecycle" },
): HttpRequest {
  const port = targetPort(action.port, container);
  const host = (action.host ?? "") === "" ? podIP : (action.host ?? "");
  const scheme = action.scheme?.toLowerCase() === "https" ? "https" : "http";
  const authority = hostPort({ host, port });
  const target = { scheme, host, port, authority, path: requestPath(action.path ?? "") } as const;
  return { target, ...requestHeaders(action.httpHeaders ?? [], `kube-${purpose}/${VERSION}`) };
}

/** `http://10.244.0.5:80/`, as errors name it. */
export function urlOf({ scheme, authority, path }: HttpTarget): string {
  return `${scheme}://${authority}${path}`;
}

/** The text of a request for HTTP/1.1; the server is to close the connection after its answer. */
export function requestText({ target, hostHeader, headers }: HttpRequest): string {
  const lines = [`GET ${target.path} HTTP/1.1`, `Host: ${hostHeader ?? target.authority}`];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Go's `url.Parse` and `RequestURI`: a fragment is not sent, what a URL cannot hold is escaped. */
function requestPath(path: string): string {
  const withoutHost = path.replace(/^(?:[a-z][a-z\d+.-]*:)?\/\/[^/?#]*/i, "");
  const [beforeFragment = ""] = withoutHost.split("#", 1);
  // Go takes a text with a broken escape as a path as a whole.
  const isBroken = /%(?![\da-f]{2})/i.test(beforeFragment);
  const text = isBroken
    ? path.replaceAll("%", "%25").replaceAll("?", "%3F").replaceAll("#", "%23")
    : beforeFragment;
  const escaped = text.replaceAll(/[^\x21-\x7e]|["<>\\^`{|}]/gu, encodeCharacter);
  return escaped.startsWith("/") ? escaped : `/${escaped}`;
}

function encodeCharacter(character: string): string {
  return [...Buffer.from(character)]
    .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
    .join("");
}

function requestHeaders(given: readonly HTTPHeader[], userAgent: string): Omit<HttpRequest, "target"> {
  const value = (name: string) => given.find((header) => header.name.toLowerCase() === name)?.value;
  const headers: [string, string][] = [];
  const agent = value("user-agent") ?? userAgent;
  if (agent !== "") headers.push(["User-Agent", agent]);
  const accept = value("accept");
  if (accept === undefined) headers.push(["Accept", "*/*"]);
  for (const { name, value: text } of given) {
    // An empty Accept means: send none.
    const isNone = name.toLowerCase() === "accept" && accept === "";
    if (!isNone && !NOT_SENT.has(name.toLowerCase())) headers.push([canonical(name), oneLine(text)]);
  }
  headers.push(["Connection", "close"]);
  const host = value("host");
  return { hostHeader: host === "" ? undefined : host, headers };
}

/** Go's `CanonicalMIMEHeaderKey`. */
function canonical(name: string): string {
  return name.toLowerCase().replaceAll(/(^|-)[a-z]/g, (match) => match.toUpperCase());
}

/** Go's `headerNewlineToSpace` and `TrimString`. */
function oneLine(value: string): string {
  return value.replaceAll(/[\r\n]/g, " ").trim();
}
