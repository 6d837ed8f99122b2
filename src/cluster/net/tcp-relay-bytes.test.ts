import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import * as fc from "fast-check";
import { startTcpRelay, type TcpListener, type TcpRelay } from "./tcp-relay.ts";

/** What one side of a connection does. */
interface Side {
  readonly bytes: number;
  /** Bytes of one write. */
  readonly chunk: number;
  /** Reads so many bytes, then nothing for some turns of the event loop. */
  readonly readsAtOnce: number;
  readonly rest: number;
  /** Says nothing until the other has ended. */
  readonly isPolite: boolean;
  /** Resets the connection after so many of its own bytes. */
  readonly resetsAfter: number | undefined;
}

interface Talk {
  readonly client: Side;
  readonly server: Side;
}

interface Outcome {
  readonly heard: Buffer;
  /** Its end came, and no reset. */
  readonly isWhole: boolean;
}

const HERE = "127.0.0.1";
const MOST_BYTES = 1_500_000;
/** No two stretches of it are the same for long. */
const WORDS = Buffer.from(
  Uint32Array.from({ length: MOST_BYTES / 4 }, (_, index) => Math.imul(index, 2_654_435_761)).buffer,
);

let relay: TcpRelay;
let listener: TcpListener;
let server: Server;
const accepted: ((socket: Socket) => void)[] = [];

beforeAll(async () => {
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
    accepted.shift()?.(socket),
  );
  await new Promise<void>((resolve) => server.listen(0, HERE, resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  relay = startTcpRelay();
  const route = relay.openRoute();
  route.update({ endpoints: [{ ip: HERE, port }] });
  listener = route.listen({ ip: HERE, port: 0 });
});
afterAll(() => {
  relay.close();
  server.close();
});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function play(socket: Socket, side: Side): Promise<Outcome> {
  const chunks: Buffer[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<boolean>();
  let sinceRest = 0;
  socket.on("error", () => resolve(false)).on("close", () => resolve(false));
  socket
    .on("end", () => resolve(true))
    .on("data", (chunk) => {
      chunks.push(Buffer.from(chunk));
      sinceRest += chunk.length;
      if (sinceRest < side.readsAtOnce) return;
      sinceRest = 0;
      socket.pause();
      void (async () => {
        for (let turns = 0; turns < side.rest; turns++) await turn();
        socket.resume();
      })();
    });
  socket.resume();
  if (side.isPolite) await ended;
  await say(socket, side);
  const isWhole = await ended;
  return { heard: Buffer.concat(chunks), isWhole };
}

async function say(
  socket: Socket,
  { bytes, chunk, resetsAfter = Number.POSITIVE_INFINITY }: Side,
): Promise<void> {
  for (let at = 0; at < bytes && !socket.destroyed; at += chunk) {
    if (at >= resetsAfter) break;
    const isFull = !socket.write(WORDS.subarray(at, Math.min(at + chunk, bytes)));
    if (isFull) await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), closed(socket)]);
  }
  if (resetsAfter === Number.POSITIVE_INFINITY) socket.end();
  else if (!socket.destroyed) socket.resetAndDestroy();
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

async function talk({ client, server: answering }: Talk): Promise<{ client: Outcome; server: Outcome }> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  accepted.push(resolve);
  const socket = connect({ port: listener.port, host: HERE, allowHalfOpen: true });
  const [said, heard] = await Promise.all([
    play(socket, client),
    promise.then((other) => play(other, answering)),
  ]);
  socket.destroy();
  return { client: said, server: heard };
}

const side = fc.record({
  bytes: fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: MOST_BYTES })),
  chunk: fc.constantFrom(700, 4096, 65_536, 400_000),
  readsAtOnce: fc.constantFrom(1, 10_000, 1_000_000),
  rest: fc.integer({ min: 0, max: 3 }),
});

/** One after the other, so that each finds the other end of its own connection. */
const orderly = fc
  .record({ client: side, server: side, polite: fc.constantFrom("client", "server", "nobody") })
  .map(({ client, server: answering, polite }): Talk => ({
    client: { ...client, isPolite: polite === "client", resetsAfter: undefined },
    server: { ...answering, isPolite: polite === "server", resetsAfter: undefined },
  }));

test("every byte arrives, in order, and each end by itself, whoever is slow and whoever ends first", async () => {
  await fc.assert(
    fc.asyncProperty(orderly, async (wish) => {
      const { client, server: answering } = await talk(wish);
      expect([client.isWhole, answering.isWhole]).toEqual([true, true]);
      expect(answering.heard.equals(WORDS.subarray(0, wish.client.bytes))).toBe(true);
      expect(client.heard.equals(WORDS.subarray(0, wish.server.bytes))).toBe(true);
    }),
    { numRuns: 80 },
  );
  while (listener.connections > 0) await turn();
});

const rude = fc
  .record({
    client: side,
    server: side,
    who: fc.constantFrom("client", "server", "both"),
    after: fc.integer({ min: 0, max: MOST_BYTES }),
  })
  .map(({ client, server: answering, who, after }): Talk => ({
    client: { ...client, isPolite: false, resetsAfter: who === "server" ? undefined : after },
    server: { ...answering, isPolite: false, resetsAfter: who === "client" ? undefined : after },
  }));

test("after a reset what arrived is the beginning of what was said, and nothing is left behind", async () => {
  await fc.assert(
    fc.asyncProperty(rude, async (wish) => {
      const { client, server: answering } = await talk(wish);
      expect(answering.heard.equals(WORDS.subarray(0, answering.heard.length))).toBe(true);
      expect(client.heard.equals(WORDS.subarray(0, client.heard.length))).toBe(true);
      while (listener.connections > 0) await turn();
    }),
    { numRuns: 80 },
  );
});
