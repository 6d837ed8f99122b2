/** The sockets of cluster DNS: datagrams and connections in the node's network namespace. */
import { createServer, type Socket } from "node:net";
import type { NodeSockets } from "../node-sockets.ts";
import type { AnswerQuery } from "./answer-query.ts";
import { createFrameReader, framed } from "./tcp-frames.ts";

/** Beyond these, who comes waits in the kernel's queue, or is dropped and asks again. */
const MOST_CONNECTIONS = 256;
const MOST_DATAGRAMS_IN_WORK = 1024;
const MOST_QUERIES_PER_CONNECTION = 64;
/** As long as RFC 7766 (6.2.3) has a server wait for the next question. */
const IDLE_MS = 10_000;

export interface DnsServerOptions {
  readonly sockets: NodeSockets;
  readonly at: { readonly ip: string; readonly port: number };
  readonly answer: AnswerQuery;
  /** Told of failures that are bugs. */
  readonly onError: (error: unknown) => void;
}

/** Rejects with the kernel's error (`EADDRINUSE`). Returns what ends it; idempotent. */
export async function serveDns(options: DnsServerOptions): Promise<() => void> {
  const closeUdp = await serveUdp(options);
  try {
    const closeTcp = await serveTcp(options);
    return () => {
      closeUdp();
      closeTcp();
    };
  } catch (error) {
    closeUdp();
    throw error;
  }
}

async function serveUdp({ sockets, at, answer, onError }: DnsServerOptions): Promise<() => void> {
  let inWork = 0;
  let isClosed = false;
  const answerDatagram = answering({ answer, onError }, "udp");
  const options = {
    fd: sockets.bindUdp(at),
    socket: {
      data(socket: Bun.udp.Socket<"buffer">, data: Buffer, port: number, address: string) {
        // Who hears nothing asks again.
        if (inWork >= MOST_DATAGRAMS_IN_WORK) return;
        inWork += 1;
        // The buffer is the runtime's own, and used again.
        void answerDatagram(Uint8Array.from(data), (bytes) => {
          inWork -= 1;
          if (bytes !== undefined && !isClosed) socket.send(bytes, port, address);
        });
      },
      error: () => undefined,
    },
  };
  // The types leave out that descriptors can be adopted.
  const socket = await Bun.udpSocket(options as Bun.udp.SocketOptions<"buffer">);
  return () => {
    if (isClosed) return;
    isClosed = true;
    socket.close();
  };
}

/** Hands on the answer, or nothing where there is none. Never rejects. */
function answering(
  { answer, onError }: Pick<DnsServerOptions, "answer" | "onError">,
  transport: "udp" | "tcp",
): (query: Uint8Array, send: (bytes: Uint8Array | undefined) => void) => Promise<void> {
  return async (query, send) => {
    let bytes: Uint8Array | undefined;
    try {
      bytes = await answer(query, transport);
    } catch (error) {
      onError(error);
    }
    send(bytes);
  };
}

async function serveTcp(options: DnsServerOptions): Promise<() => void> {
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    serveConnection(socket, options);
  });
  server.maxConnections = MOST_CONNECTIONS;
  const fd = options.sockets.listenTcp(options.at);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ fd }, resolve);
  });
  return () => {
    server.close();
    for (const socket of connections) socket.destroy();
  };
}

/** Answers in the order in which they are known. Reads no further while too many are not. */
function serveConnection(socket: Socket, { answer, onError }: DnsServerOptions): void {
  let inWork = 0;
  let hasEnded = false;
  const answerMessage = answering({ answer, onError }, "tcp");
  const settle = (): void => {
    inWork -= 1;
    if (hasEnded && inWork === 0) socket.end();
    else if (inWork < MOST_QUERIES_PER_CONNECTION && !socket.writableNeedDrain) socket.resume();
  };
  const read = createFrameReader((message) => {
    inWork += 1;
    if (inWork >= MOST_QUERIES_PER_CONNECTION) socket.pause();
    void answerMessage(message, (bytes) => {
      // Who sends anything but queries has lost count of its bytes.
      if (bytes === undefined) socket.destroy();
      else if (!socket.destroyed && !socket.write(framed(bytes))) socket.pause();
      settle();
    });
  });
  socket
    .setTimeout(IDLE_MS, () => socket.destroy())
    .on("error", () => socket.destroy())
    .on("drain", () => socket.resume())
    .on("data", read)
    .on("end", () => {
      hasEnded = true;
      if (inWork === 0) socket.end();
    });
}
