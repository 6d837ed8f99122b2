/** The channels of `exec` and `attach` over SPDY/3.1: one stream each, named by its header `streamtype`. */
import { type Clock } from "../../../kernel/clock.ts";
import type { ByteConnection } from "./byte-connection.ts";
import {
  type ByteWriter,
  type CommandChannels,
  type StreamChoice,
  TerminalSizes,
} from "./command-channels.ts";
import { SpdySession, type SpdyStream } from "./spdy-session.ts";

/**
 * In our order of preference. v4 reports the end as a `Status` in JSON, the older ones as text when it is a failure; v3
 * brought the size of the terminal.
 */
export const COMMAND_SPDY_PROTOCOLS: readonly string[] = [
  "v4.channel.k8s.io",
  "v3.channel.k8s.io",
  "v2.channel.k8s.io",
  "channel.k8s.io",
];

/** `DefaultStreamCreationTimeout` of the kubelet. */
const STREAMS_MS = 30_000;

export interface SpdyCommand {
  readonly protocol: string;
  readonly wanted: StreamChoice;
  readonly clock: Clock;
}

export interface SpdyChannels {
  readonly channels: CommandChannels;
  /** Resolves when the session is over. */
  readonly received: Promise<void>;
  beat(): void;
}

/** Resolves when the client has opened its streams; with undefined when it went away or did not. */
export async function spdyChannels(
  connection: ByteConnection,
  { protocol, wanted, clock }: SpdyCommand,
): Promise<SpdyChannels | undefined> {
  const names = expectedStreams(wanted, protocol);
  const streams = new Map<string, SpdyStream>();
  const { promise: isComplete, resolve } = Promise.withResolvers<boolean>();
  const left = new AbortController();
  const session = new SpdySession(connection, (stream) => {
    const name = stream.headers.get("streamtype") ?? "";
    if (!names.includes(name) || streams.has(name)) {
      stream.reset();
      return;
    }
    streams.set(name, stream);
    if (streams.size === names.length) resolve(true);
  });
  const leave = () => {
    left.abort();
    resolve(false);
  };
  const received = session.run().finally(leave);
  connection.gone.addEventListener("abort", leave, { once: true });
  const cancel = clock.schedule(STREAMS_MS, () => resolve(false));
  const complete = await isComplete;
  cancel();
  if (!complete) {
    session.close();
    await received;
    return undefined;
  }
  return {
    channels: channelsOf(streams, { session, protocol, left: left.signal }),
    received,
    beat: () => session.beat(),
  };
}

function expectedStreams({ stdin, stdout, stderr, tty }: StreamChoice, protocol: string): string[] {
  const knowsSize = protocol === "v4.channel.k8s.io" || protocol === "v3.channel.k8s.io";
  return [
    "error",
    ...(stdin ? ["stdin"] : []),
    ...(stdout ? ["stdout"] : []),
    ...(stderr ? ["stderr"] : []),
    ...(tty && knowsSize ? ["resize"] : []),
  ];
}

interface Session {
  readonly session: SpdySession;
  readonly protocol: string;
  readonly left: AbortSignal;
}

function channelsOf(
  streams: ReadonlyMap<string, SpdyStream>,
  { session, protocol, left }: Session,
): CommandChannels {
  const sizes = new TerminalSizes();
  void readSizes(streams.get("resize"), sizes);
  const stdin = streams.get("stdin");
  const writer = (name: string): Record<string, ByteWriter> => {
    const stream = streams.get(name);
    return stream === undefined ? {} : { [name]: stream };
  };
  return {
    ...(stdin === undefined ? {} : { stdin: stdin.incoming }),
    ...writer("stdout"),
    ...writer("stderr"),
    onResize: (listener) => sizes.listen(listener),
    async finish(status) {
      await streams.get("error")?.write(statusText(status, protocol));
      for (const stream of streams.values()) await stream.end();
      session.close();
    },
    gone: left,
  };
}

async function readSizes(stream: SpdyStream | undefined, sizes: TerminalSizes): Promise<void> {
  for await (const bytes of stream?.incoming ?? []) sizes.read(bytes);
}

function statusText(status: object, protocol: string): Buffer {
  if (protocol === "v4.channel.k8s.io") return Buffer.from(JSON.stringify(status));
  const { message = "" } = status as { readonly message?: string };
  return Buffer.from(message);
}
