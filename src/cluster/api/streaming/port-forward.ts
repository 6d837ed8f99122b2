/** Carries one forwarded connection between a client and a port of a pod, each direction closing by itself. */
import { messageOf } from "../../../kernel/problem.ts";
import type { KubeletPort } from "../../kubelet/port.ts";
import type { Duplex } from "node:stream";

export interface ForwardTarget {
  readonly kubelet: KubeletPort;
  readonly pod: { readonly namespace: string; readonly name: string };
}

/** The client's side of one connection. */
export interface ForwardedConnection {
  readonly port: number;
  readonly incoming: AsyncIterable<Uint8Array>;
  write(bytes: Uint8Array): Promise<void>;
  /** Nothing more comes from the pod. */
  end(): Promise<void> | void;
  /** Tells the client why there is no connection, or no longer. */
  fail(message: string): Promise<void> | void;
  /** Aborts when the client gives the connection up. */
  readonly gone: AbortSignal;
}

/** Resolves when both directions are over or the client has gone. Never rejects. */
export async function forwardConnection(target: ForwardTarget, client: ForwardedConnection): Promise<void> {
  const { kubelet, pod } = target;
  let socket: Duplex;
  try {
    socket = await kubelet.connect(pod, client.port, client.gone);
  } catch (error) {
    if (!client.gone.aborted)
      await client.fail(failureText(target, client.port, connectError(error, client.port)));
    return;
  }
  const abandon = () => socket.destroy();
  // What breaks the connection shows in reading or writing it.
  socket.on("error", abandon);
  client.gone.addEventListener("abort", abandon, { once: true });
  if (client.gone.aborted) abandon();
  try {
    await Promise.all([toPod(client, socket), fromPod(socket, client)]);
  } catch (error) {
    if (!client.gone.aborted) await client.fail(failureText(target, client.port, messageOf(error)));
  } finally {
    client.gone.removeEventListener("abort", abandon);
    abandon();
  }
}

async function toPod(client: ForwardedConnection, socket: Duplex): Promise<void> {
  for await (const chunk of client.incoming) {
    if (socket.destroyed || socket.writableEnded) return;
    if (!socket.write(chunk)) await drained(socket);
  }
  if (!socket.destroyed) socket.end();
}

async function fromPod(socket: Duplex, client: ForwardedConnection): Promise<void> {
  // Leaving the loop must not cut off the other direction.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    await client.write(chunk as Uint8Array);
  }
  await client.end();
}

function drained(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      socket.off("drain", finish);
      socket.off("close", finish);
      resolve();
    };
    socket.once("drain", finish);
    socket.once("close", finish);
  });
}

/** containerd's words, which people search for. */
function failureText({ pod }: ForwardTarget, port: number, why: string): string {
  return `error forwarding port ${port} to pod ${pod.name}, uid : ${why}`;
}

function connectError(error: unknown, port: number): string {
  const { code } = error as { readonly code?: unknown };
  if (code === "ECONNREFUSED") {
    return `failed to connect to localhost:${port} inside namespace: connect: connection refused`;
  }
  return `failed to connect to localhost:${port} inside namespace: ${messageOf(error)}`;
}
