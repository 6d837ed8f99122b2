/** Leads pods to the API: from addresses on the node, in its network namespace, to the API's port on this machine. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { joinSockets } from "./join-sockets.ts";
import type { NodeSockets } from "./node-sockets.ts";

/** Beyond this, who comes waits in the kernel's queue. */
const MOST_CONNECTIONS = 1024;
const MACHINE = "127.0.0.1";

export interface ApiRelayOptions {
  /** The sandbox. */
  readonly sockets: NodeSockets;
  /** Where pods find the API: the node's address, which is the endpoint of the `kubernetes` Service, or the Service's own. */
  readonly at: readonly { readonly ip: string; readonly port: number }[];
  /** Of the API on 127.0.0.1 of this machine; nothing else there can be reached through this. */
  readonly apiPort: number;
}

/** Rejects with the kernel's error (`EADDRINUSE`). Returns what ends it, connections included; idempotent. */
export async function startApiRelay({ sockets, at, apiPort }: ApiRelayOptions): Promise<() => void> {
  const connections = new Set<Socket>();
  const servers: Server[] = [];
  const close = (): void => {
    for (const server of servers) server.close();
    for (const socket of connections) socket.destroy();
  };
  try {
    for (const place of at) {
      const fd = sockets.listenTcp(place);
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
        connections.add(socket);
        socket.once("close", () => connections.delete(socket));
        passOn(socket, apiPort);
      });
      server.maxConnections = MOST_CONNECTIONS;
      await listening(server, fd);
      servers.push(server);
    }
  } catch (error) {
    close();
    throw error;
  }
  return close;
}

async function listening(server: Server, fd: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ fd }, resolve);
  });
  // Out of descriptors: the client waits in the kernel's queue until there are some.
  server.on("error", () => undefined);
}

function passOn(socket: Socket, port: number): void {
  const target = connect({ host: MACHINE, port, allowHalfOpen: true, noDelay: true });
  const giveUp = (): void => void socket.destroy();
  socket.once("error", giveUp);
  target.once("error", giveUp).once("connect", () => joinSockets(socket, target));
}
