/** Asks one DNS server one question, over UDP or TCP, and takes only an answer to exactly that question. */
import { randomInt } from "node:crypto";
import { connect } from "node:net";
import { isIPv6 } from "node:net";
import { decodeMessage } from "./decode-message.ts";
import { CLASS_IN, type DnsMessage, type Edns, type Question, queryFor } from "./dns-message.ts";
import { isSameName } from "./domain-name.ts";
import { encodeMessage } from "./encode-message.ts";
import { createFrameReader, framed } from "./tcp-frames.ts";

export interface ServerAddress {
  readonly ip: string;
  readonly port: number;
}

/** What is asked for in whose manner. */
export interface UpstreamQuery {
  readonly question: Question;
  readonly edns: Edns | undefined;
  readonly checkingDisabled: boolean;
}

/** What came back, and its bytes, in which only the id differs from what the client has to get. */
export interface UpstreamAnswer {
  readonly message: DnsMessage;
  readonly bytes: Uint8Array;
}

type Ask = (server: ServerAddress, query: UpstreamQuery, signal: AbortSignal) => Promise<UpstreamAnswer>;

/** From a port that the kernel chooses anew for each question. Rejects when nobody listens there, or with the signal's reason. */
export const askOverUdp: Ask = async (server, query, signal) => {
  const { id, bytes } = prepare(query);
  const answered = Promise.withResolvers<UpstreamAnswer>();
  const onAbort = (): void => answered.reject(signal.reason);
  const socket = await Bun.udpSocket({
    hostname: isIPv6(server.ip) ? "::" : "0.0.0.0",
    // The kernel drops what comes from anybody else.
    connect: { hostname: server.ip, port: server.port },
    socket: {
      data: (_, data) => {
        const answer = matching(data, id, query);
        // A wrong answer may be a forged one: the right one may still come.
        if (answer !== undefined) answered.resolve(answer);
      },
      error: (_, error) => answered.reject(error),
    },
  });
  try {
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    else if (!socket.send(bytes)) throw new Error("The question cannot be sent");
    return await answered.promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.close();
  }
};

/** On a connection of its own. Rejects when it ends before the answer, or with the signal's reason. */
export const askOverTcp: Ask = async (server, query, signal) => {
  signal.throwIfAborted();
  const { id, bytes } = prepare(query);
  const answered = Promise.withResolvers<UpstreamAnswer>();
  const onAbort = (): void => answered.reject(signal.reason);
  const socket = connect({ host: server.ip, port: server.port });
  const read = createFrameReader((data) => {
    const answer = matching(data, id, query);
    if (answer === undefined) answered.reject(new Error("The answer is not to the question"));
    else answered.resolve(answer);
  });
  socket
    .on("error", answered.reject)
    .on("close", () => answered.reject(new Error("The connection has ended")))
    .on("data", read);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    socket.write(framed(bytes));
    return await answered.promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  }
};

function prepare({ question, edns, checkingDisabled }: UpstreamQuery): {
  readonly id: number;
  readonly bytes: Uint8Array;
} {
  const id = randomInt(0x1_00_00);
  return { id, bytes: encodeMessage(queryFor(question, { id, edns, checkingDisabled })) };
}

function matching(bytes: Uint8Array, id: number, { question }: UpstreamQuery): UpstreamAnswer | undefined {
  let message: DnsMessage;
  try {
    message = decodeMessage(bytes);
  } catch {
    return undefined; // No DNS message.
  }
  const asked = message.question;
  if (!message.isResponse || message.id !== id || asked === undefined) return undefined;
  const isSame =
    asked.type === question.type && asked.class === CLASS_IN && isSameName(asked.name, question.name);
  return isSame ? { message, bytes: Uint8Array.from(bytes) } : undefined;
}
