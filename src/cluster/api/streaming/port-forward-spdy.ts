/** `kubectl port-forward`: any number of connections in one SPDY session, each a pair of streams `error` and `data`. */
import type { Clock } from "../../../kernel/clock.ts";
import { type ForwardTarget, forwardConnection } from "./port-forward.ts";
import { type SpdyCarrier, SpdySession, type SpdyStream } from "./spdy-session.ts";
import type { WebSocketConnection } from "./web-socket.ts";

export const PORT_FORWARD_SPDY_PROTOCOL = "portforward.k8s.io";
/** KEP-4006: the same session inside binary messages. Not a token as RFC 6455 wants it, but what clients send. */
export const PORT_FORWARD_TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io";

/** `DefaultStreamCreationTimeout` of the kubelet: for the second stream of a pair. */
const PAIR_MS = 30_000;

interface Pair {
  error?: SpdyStream;
  data?: SpdyStream;
  /** Stops waiting for the other one. */
  cancel?: () => void;
}

export interface PortForwardSession {
  /** Resolves at the end of the session. Never rejects for what a client does. */
  run(): Promise<void>;
  beat(): void;
}

export function portForwardSession(
  carrier: SpdyCarrier,
  target: ForwardTarget,
  clock: Clock,
): PortForwardSession {
  const pairs = new Map<string, Pair>();
  const forwards = new Set<Promise<void>>();
  const session = new SpdySession(carrier, (stream) => {
    const type = stream.headers.get("streamtype");
    const id = requestId(stream);
    if ((type !== "error" && type !== "data") || portOf(stream) === undefined) {
      stream.reset();
      return;
    }
    const pair = pairs.get(id) ?? {};
    if (pair[type] !== undefined) {
      stream.reset();
      return;
    }
    pair[type] = stream;
    pairs.set(id, pair);
    if (pair.error === undefined || pair.data === undefined) {
      pair.cancel = clock.schedule(PAIR_MS, () => {
        pairs.delete(id);
        stream.reset();
      });
      return;
    }
    pair.cancel?.();
    pairs.delete(id);
    const forward = forwardPair(target, pair.data, pair.error);
    forwards.add(forward);
    void forward.finally(() => forwards.delete(forward));
  });
  return {
    async run() {
      await session.run();
      for (const { cancel } of pairs.values()) cancel?.();
      await Promise.all(forwards);
    },
    beat: () => session.beat(),
  };
}

/** Clients before Kubernetes 1.1 sent none: theirs are neighbours. */
function requestId({ id, headers }: SpdyStream): string {
  const given = headers.get("requestid");
  if (given !== undefined) return given;
  return `stream ${headers.get("streamtype") === "error" ? id : id - 2}`;
}

function portOf({ headers }: SpdyStream): number | undefined {
  const text = headers.get("port") ?? "";
  const port = Number(text);
  return /^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535 ? port : undefined;
}

async function forwardPair(target: ForwardTarget, data: SpdyStream, error: SpdyStream): Promise<void> {
  await forwardConnection(target, {
    port: portOf(data) ?? 0,
    incoming: data.incoming,
    write: (bytes) => data.write(bytes),
    async end() {
      await data.end();
      // kubectl lets its own side go only when it knows that no error comes.
      await error.end();
    },
    fail: (message) => error.write(Buffer.from(message)),
    gone: data.gone,
  });
  await error.end();
  await data.end();
  // A client that has been told the end has nothing more to say.
  data.reset();
}

/** A WebSocket as the carrier of a session. */
export function tunnelCarrier(socket: WebSocketConnection): SpdyCarrier {
  async function* bytes(): AsyncGenerator<Buffer> {
    for await (const fragment of socket.fragments()) yield fragment.bytes;
  }
  return {
    incoming: bytes(),
    write: (chunk) => socket.send(chunk),
    end: () => socket.close(),
    gone: socket.gone,
  };
}
