/** The server's end of a WebSocket (RFC 6455): handshake, messages out, fragments of messages in, an orderly close. */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { StatusError } from "../../../k8s/status-error.ts";
import type { ByteConnection } from "./byte-connection.ts";
import { closePayload, type Fragment, FrameReader, WebSocketError, writeFrame } from "./web-socket-frames.ts";

/** Section 1.3 of the RFC. */
const HANDSHAKE_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const NORMAL_CLOSURE = 1000;

export type DataFragment = Extract<Fragment, { readonly kind: "data" }>;

/** Headers of the answer that accepts. `BadRequest` for a handshake that is none. */
export function acceptWebSocket(headers: IncomingHttpHeaders, protocol: string): Record<string, string> {
  const key = headers["sec-websocket-key"] ?? "";
  if (headers["sec-websocket-version"] !== "13" || Buffer.from(key, "base64").length !== 16) {
    throw new StatusError(
      "BadRequest",
      "the WebSocket handshake is not one of version 13 with a key of 16 bytes",
    );
  }
  return {
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Accept": createHash("sha1").update(`${key}${HANDSHAKE_GUID}`).digest("base64"),
    "Sec-WebSocket-Protocol": protocol,
  };
}

/** In the client's order of preference. */
export function webSocketProtocols(headers: IncomingHttpHeaders): string[] {
  return (headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

export class WebSocketConnection {
  readonly #connection: ByteConnection;
  #isClosing = false;

  constructor(connection: ByteConnection) {
    this.#connection = connection;
  }

  /** Aborts when the connection is closed. */
  get gone(): AbortSignal {
    return this.#connection.gone;
  }

  /**
   * Parts of messages, at the consumer's pace; pings are answered on the way. Ends when the peer closes, goes away or breaks
   * the protocol. Once only.
   */
  async *fragments(): AsyncGenerator<DataFragment> {
    const reader = new FrameReader();
    try {
      for await (const chunk of this.#connection.incoming) {
        for (const fragment of reader.read(chunk)) {
          if (fragment.kind === "data") yield fragment;
          else if (fragment.kind === "ping") await this.#write("pong", fragment.bytes);
          else if (fragment.kind === "close") {
            this.close();
            return;
          }
        }
      }
    } catch (error) {
      if (!(error instanceof WebSocketError)) throw error;
      this.close(error.closeCode, error.message);
    }
  }

  /** One binary message. Resolves when the peer may take more. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    await this.#write("binary", ...parts);
  }

  /** Tells the peer that we live, and asks whether it does. */
  beat(): void {
    void this.#write("ping");
    // Held up by a program that does not read, we do not see the peer's own pings: answer them unseen (section 5.5.3).
    if (this.#connection.isHeldUp) void this.#write("pong");
  }

  /** Idempotent. What has been sent arrives before. */
  close(code = NORMAL_CLOSURE, reason = ""): void {
    if (this.#isClosing) return;
    void this.#write("close", closePayload(code, reason));
    this.#isClosing = true;
    this.#connection.end();
  }

  async #write(kind: Parameters<typeof writeFrame>[0], ...parts: readonly Uint8Array[]): Promise<void> {
    if (!this.#isClosing) await this.#connection.write(writeFrame(kind, ...parts));
  }
}
