/** A port of this machine that leads to somewhere else: every connection is passed on, at the pace of the slower side. */
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { joinSockets } from "./join-sockets.ts";

/** Beyond this, who comes waits in the kernel's queue. */
const MAX_CONNECTIONS = 1024;

export interface RelayOptions {
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Rejects when nobody listens there: the caller is then hung up on. */
  readonly connect: (signal: AbortSignal) => Promise<Duplex>;
}

export interface PortRelay {
  readonly port: number;
  /** Ends the listener and all its connections. Idempotent. */
  close(): void;
}

/** Rejects with the system's error (`EADDRINUSE`, `EACCES`) when the port cannot be had. */
export async function openPortRelay({ address, port, connect }: RelayOptions): Promise<PortRelay> {
  const closing = new AbortController();
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    void passOn(socket, connect, closing.signal);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : port,
    close() {
      closing.abort();
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function passOn(socket: Socket, connect: RelayOptions["connect"], signal: AbortSignal): Promise<void> {
  // A client that resets is no news.
  socket.on("error", () => socket.destroy());
  let target: Duplex;
  try {
    target = await connect(signal);
  } catch {
    socket.destroy();
    return;
  }
  joinSockets(socket, target);
}
