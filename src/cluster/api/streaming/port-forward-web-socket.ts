/** Port forwarding as `@kubernetes/client-node` does it: `?ports=`, two channels a port, one connection each. */
import { BytePipe } from "./byte-pipe.ts";
import { channelReader } from "./command-web-socket.ts";
import { type ForwardTarget, forwardConnection } from "./port-forward.ts";
import type { WebSocketConnection } from "./web-socket.ts";

export const PORT_FORWARD_CHANNEL_PROTOCOLS: readonly string[] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/** v5: the second byte is the channel that ends. */
const CLOSE = 255;

interface Channel {
  readonly port: number;
  readonly incoming: BytePipe;
}

/**
 * Channel 2i is the data of port i, 2i + 1 its error text; the first message of each is the port, little-endian. Resolves when
 * all connections are over or the client has gone. Never rejects for what a client does.
 */
export async function forwardPorts(
  socket: WebSocketConnection,
  ports: readonly number[],
  target: ForwardTarget,
): Promise<void> {
  const left = new AbortController();
  const channels: Channel[] = ports.map((port) => ({ port, incoming: new BytePipe(0) }));
  const leave = () => {
    left.abort();
    for (const { incoming } of channels) incoming.cancel();
  };
  const received = receive(socket, channels).finally(leave);
  // Held up by a port that does not read, `receive` would not notice.
  socket.gone.addEventListener("abort", leave, { once: true });
  await Promise.all(
    channels.map(async ({ port, incoming }, index) => {
      const [data, error] = [Uint8Array.of(index * 2), Uint8Array.of(index * 2 + 1)];
      const portBytes = Uint8Array.of(port & 0xff, port >> 8);
      await socket.send(data, portBytes);
      await socket.send(error, portBytes);
      await forwardConnection(target, {
        port,
        incoming,
        write: (bytes) => socket.send(data, bytes),
        end: () => undefined,
        fail: (message) => socket.send(error, Buffer.from(message)),
        gone: left.signal,
      });
      // Nobody takes what still comes.
      incoming.cancel();
    }),
  );
  socket.close();
  await received;
}

async function receive(socket: WebSocketConnection, channels: readonly Channel[]): Promise<void> {
  const channelOf = channelReader();
  for await (const fragment of socket.fragments()) {
    const { channel, bytes } = channelOf(fragment);
    if (channel === CLOSE) {
      for (const ended of bytes) dataChannel(channels, ended)?.incoming.end();
    } else if (channel !== undefined) await dataChannel(channels, channel)?.incoming.write(bytes);
  }
}

function dataChannel(channels: readonly Channel[], channel: number): Channel | undefined {
  return channel % 2 === 0 ? channels[channel / 2] : undefined;
}
