/** Reads what a client wants to upgrade to, and agrees on a protocol or says why not. */
import type { IncomingHttpHeaders } from "node:http";
import { StatusError } from "../../../k8s/status-error.ts";
import { acceptWebSocket, webSocketProtocols } from "./web-socket.ts";

export interface Agreement {
  readonly transport: "WebSocket" | "SPDY";
  readonly protocol: string;
  /** Of the answer 101. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Offer {
  /** In our order of preference. */
  readonly webSocket: readonly string[];
  readonly spdy: readonly string[];
}

/** The node's own words about a request, which the API passes on as they are. */
export class NodeRefusal extends Error {
  override readonly name = "NodeRefusal";
  readonly httpCode: number;

  constructor(httpCode: number, message: string) {
    super(message);
    this.httpCode = httpCode;
  }
}

/** `BadRequest` or a refusal of the node, in the words of `k8s.io/streaming`. */
export function agreeOn(headers: IncomingHttpHeaders, offer: Offer): Agreement {
  switch ((headers.upgrade ?? "").toLowerCase()) {
    case "websocket":
      return agreeOnWebSocket(headers, offer.webSocket);
    case "spdy/3.1":
      return agreeOnSpdy(headers, offer.spdy);
    default:
      throw upgradeRequired();
  }
}

export function upgradeRequired(): StatusError {
  return new StatusError("BadRequest", "Upgrade request required");
}

function agreeOnWebSocket(headers: IncomingHttpHeaders, ours: readonly string[]): Agreement {
  const theirs = webSocketProtocols(headers);
  const protocol = ours.find((name) => theirs.includes(name));
  if (protocol === undefined) throw new NodeRefusal(403, noAgreement(theirs, ours));
  return { transport: "WebSocket", protocol, headers: acceptWebSocket(headers, protocol) };
}

function agreeOnSpdy(headers: IncomingHttpHeaders, ours: readonly string[]): Agreement {
  const sent = headers["x-stream-protocol-version"];
  if (sent === undefined) {
    throw new NodeRefusal(400, "unable to upgrade: X-Stream-Protocol-Version header is required");
  }
  const theirs = sent
    .toString()
    .split(",")
    .map((name) => name.trim());
  const protocol = ours.find((name) => theirs.includes(name));
  if (protocol === undefined) throw new NodeRefusal(403, noAgreement(theirs, ours));
  return {
    transport: "SPDY",
    protocol,
    headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocol },
  };
}

function noAgreement(theirs: readonly string[], ours: readonly string[]): string {
  return `unable to upgrade: unable to negotiate protocol: client supports [${theirs.join(" ").slice(0, 200)}], server accepts [${ours.join(" ")}]`;
}
