/** The channels of `exec` and `attach` over a WebSocket: `v5.channel.k8s.io` and `v4.channel.k8s.io` (KEP-4006). */
import { BytePipe } from "./byte-pipe.ts";
import { type CommandChannels, type StreamChoice, TerminalSizes } from "./command-channels.ts";
import type { DataFragment, WebSocketConnection } from "./web-socket.ts";

/** In our order of preference. v5 adds the half-close of standard input. */
export const COMMAND_WEB_SOCKET_PROTOCOLS: readonly string[] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/** First byte of every message. */
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const RESIZE = 4;
/** v5: the second byte is the channel that ends. */
const CLOSE = 255;

/** `received` resolves when the client has closed or gone away. */
export function webSocketChannels(
  socket: WebSocketConnection,
  wanted: StreamChoice,
): { readonly channels: CommandChannels; readonly received: Promise<void> } {
  // No bytes of its own: the client's pace is the program's.
  const stdin = new BytePipe(0);
  const sizes = new TerminalSizes();
  const left = new AbortController();
  const leave = () => {
    stdin.end();
    left.abort();
  };
  const received = receive(socket, { stdin, sizes }).finally(leave);
  left.signal.addEventListener("abort", () => stdin.cancel(), { once: true });
  // Held up by a program that does not read, `receive` would not notice.
  socket.gone.addEventListener("abort", leave, { once: true });
  const writer = (channel: number) => {
    const prefix = Uint8Array.of(channel);
    return { write: (bytes: Uint8Array) => socket.send(prefix, bytes) };
  };
  const channels: CommandChannels = {
    ...(wanted.stdin ? { stdin } : {}),
    ...(wanted.stdout ? { stdout: writer(STDOUT) } : {}),
    ...(wanted.stderr ? { stderr: writer(STDERR) } : {}),
    onResize: (listener) => sizes.listen(listener),
    async finish(status) {
      await socket.send(Uint8Array.of(STATUS), Buffer.from(JSON.stringify(status)));
      socket.close();
    },
    gone: left.signal,
  };
  return { channels, received };
}

interface Receivers {
  readonly stdin: BytePipe;
  readonly sizes: TerminalSizes;
}

async function receive(socket: WebSocketConnection, { stdin, sizes }: Receivers): Promise<void> {
  const channelOf = channelReader();
  for await (const fragment of socket.fragments()) {
    const { channel, bytes } = channelOf(fragment);
    if (channel === STDIN) await stdin.write(bytes);
    else if (channel === RESIZE) sizes.read(bytes);
    else if (channel === CLOSE && bytes[0] === STDIN) stdin.end();
  }
}

/** Takes the channel off the first bytes of each message; the fragments after them belong to the same. */
export function channelReader(): (fragment: DataFragment) => {
  readonly channel: number | undefined;
  readonly bytes: Buffer;
} {
  let channel: number | undefined;
  return ({ isFirst, bytes }) => {
    if (!isFirst) return { channel, bytes };
    channel = bytes[0];
    return { channel, bytes: bytes.subarray(1) };
  };
}
