/** `pods/portforward`: checks the request in the words of the real server, then serves its connections. */
import { StatusError } from "../../../k8s/status-error.ts";
import type { ByteConnection } from "./byte-connection.ts";
import { startHeartbeat } from "./heartbeat.ts";
import type { ForwardTarget } from "./port-forward.ts";
import {
  PORT_FORWARD_SPDY_PROTOCOL,
  PORT_FORWARD_TUNNEL_PROTOCOL,
  portForwardSession,
  tunnelCarrier,
} from "./port-forward-spdy.ts";
import { forwardPorts, PORT_FORWARD_CHANNEL_PROTOCOLS } from "./port-forward-web-socket.ts";
import { refuseUnscheduled, type StreamContext, type StreamPlan } from "./stream-context.ts";
import { type Agreement, agreeOn, NodeRefusal } from "./upgrade-protocol.ts";
import { WebSocketConnection } from "./web-socket.ts";

/** Throws `StatusError` and `NodeRefusal`. */
export function portForwardPlan(context: StreamContext): StreamPlan {
  const { pod, query, headers, kubelet, clock } = context;
  refuseUnscheduled(pod);
  const agreement = agreeOn(headers, {
    webSocket: [PORT_FORWARD_TUNNEL_PROTOCOL, ...PORT_FORWARD_CHANNEL_PROTOCOLS],
    spdy: [PORT_FORWARD_SPDY_PROTOCOL],
  });
  const { name = "", namespace = "" } = pod.metadata ?? {};
  const ports = PORT_FORWARD_CHANNEL_PROTOCOLS.includes(agreement.protocol) ? portsOf(query) : [];
  if (!kubelet.isRunning({ namespace, name })) throw new NodeRefusal(404, "pod does not exist");
  const target = { kubelet, pod: { namespace, name } };
  return {
    headers: agreement.headers,
    serve: (connection) => serveForward(connection, { agreement, ports, target, clock }),
  };
}

/** kubelet `portforward.NewV4Options`. */
function portsOf(query: URLSearchParams): number[] {
  const texts = query.getAll("ports").flatMap((text) => text.split(","));
  if (texts.length === 0) throw new StatusError("BadRequest", 'query parameter "ports" is required');
  return texts.map((text) => {
    const port = Number(text);
    if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
    throw new StatusError("BadRequest", `port "${text.slice(0, 100)}" must be > 0 and <= 65535`);
  });
}

interface ServedForward {
  readonly agreement: Agreement;
  readonly ports: readonly number[];
  readonly target: ForwardTarget;
  readonly clock: StreamContext["clock"];
}

async function serveForward(
  connection: ByteConnection,
  { agreement, ports, target, clock }: ServedForward,
): Promise<void> {
  if (agreement.transport === "SPDY") {
    const session = portForwardSession(connection, target, clock);
    startHeartbeat(connection, clock, () => session.beat());
    await session.run();
    return;
  }
  const socket = new WebSocketConnection(connection);
  startHeartbeat(connection, clock, () => socket.beat());
  if (agreement.protocol === PORT_FORWARD_TUNNEL_PROTOCOL) {
    await portForwardSession(tunnelCarrier(socket), target, clock).run();
  } else await forwardPorts(socket, ports, target);
}
