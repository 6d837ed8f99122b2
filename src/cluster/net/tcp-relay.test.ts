import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { startTcpRelay, type TcpListener, type TcpRelay, type TcpRoute } from "./tcp-relay.ts";

const HERE = "127.0.0.1";

let relay: TcpRelay;
let route: TcpRoute;
let listener: TcpListener;
const servers: Server[] = [];

beforeEach(() => {
  relay = startTcpRelay();
  route = relay.openRoute();
  listener = route.listen({ ip: HERE, port: 0 });
});
afterEach(() => {
  relay.close();
  for (const server of servers.splice(0)) server.close();
});

interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

async function serve(onSocket: (socket: Socket) => void): Promise<Endpoint> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    onSocket(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, HERE, resolve));
  const address = server.address();
  return { ip: HERE, port: typeof address === "object" && address !== null ? address.port : 0 };
}

function open(port = listener.port): Socket {
  return connect({ port, host: HERE, allowHalfOpen: true });
}

/** What a new connection hears, or the code of its error. */
async function hear(port = listener.port): Promise<string> {
  const socket = open(port);
  try {
    return await text(socket);
  } catch (error) {
    return String(error instanceof Error && "code" in error ? error.code : error);
  } finally {
    socket.destroy();
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await Bun.sleep(1);
}

const named = async (name: string) => await serve((socket) => socket.end(name));

/** A port that nobody listens on. */
async function deaf(): Promise<Endpoint> {
  const endpoint = await serve(() => undefined);
  const server = servers.pop();
  if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  return endpoint;
}

describe("startTcpRelay()", () => {
  test("takes turns, passes over who does not answer, and hangs up when nobody is left [SV3]", async () => {
    const [a, b, nobody] = await Promise.all([named("a"), named("b"), deaf()]);
    route.update({ endpoints: [a, b] });
    expect([await hear(), await hear(), await hear(), await hear()]).toEqual(["a", "b", "a", "b"]);
    route.update({ endpoints: [nobody, b] });
    expect([await hear(), await hear(), await hear()]).toEqual(["b", "b", "b"]);
    route.update({ endpoints: [nobody] });
    expect(await hear()).toBe("ECONNRESET");
    route.update({ endpoints: [] });
    expect(await hear()).toBe("ECONNRESET");
  });

  test("keeps a client with its endpoint for as long as that is there", async () => {
    const [a, b, c] = await Promise.all([named("a"), named("b"), named("c")]);
    route.update({ endpoints: [a, b, c], affinitySeconds: 60 });
    const first = await hear();
    const same = [await hear(), await hear(), await hear()];
    expect(same).toEqual([first, first, first]);
    const others = [a, b, c].filter((_, index) => "abc"[index] !== first);
    route.update({ endpoints: others, affinitySeconds: 60 });
    const second = await hear();
    expect(second).not.toBe(first);
    route.update({ endpoints: [a, b, c], affinitySeconds: 60 });
    expect([await hear(), await hear()]).toEqual([second, second]);
    route.update({ endpoints: [a, b, c] });
    expect(new Set([await hear(), await hear(), await hear()])).toEqual(new Set(["a", "b", "c"]));
  });

  test("shares turns among the listeners of a route, and not with other routes", async () => {
    const [a, b] = await Promise.all([named("a"), named("b")]);
    const second = route.listen({ ip: HERE, port: 0 });
    route.update({ endpoints: [a, b] });
    const other = relay.openRoute();
    const elsewhere = other.listen({ ip: HERE, port: 0 });
    other.update({ endpoints: [b] });
    expect([await hear(), await hear(second.port), await hear(elsewhere.port), await hear()]).toEqual([
      "a",
      "b",
      "b",
      "a",
    ]);
  });

  test("leaves connections alone when their endpoint goes, and when their listener closes [SV3]", async () => {
    const [echo, b] = await Promise.all([serve((socket) => socket.pipe(socket)), named("b")]);
    route.update({ endpoints: [echo] });
    const socket = open();
    socket.write("before ");
    await once(socket, "data");
    expect(listener.connections).toBe(1);
    route.update({ endpoints: [b] });
    expect(await hear()).toBe("b");
    listener.close();
    route.close();
    expect(await hear()).toBe("ECONNREFUSED");
    // Of who has heard "b" the relay learns later.
    await until(() => listener.connections === 1);
    socket.end("after");
    expect(await text(socket)).toBe("after");
    await until(() => listener.connections === 0);
    listener.destroy();
    listener.destroy();
    expect(listener.connections).toBe(0);
  });

  test("ends connections when a listener is destroyed, and everything when it is closed", async () => {
    const echo = await serve((socket) => socket.pipe(socket));
    const before = openFiles();
    route.update({ endpoints: [echo] });
    const other = route.listen({ ip: HERE, port: 0 });
    const sockets = [open(), open(other.port)];
    const endings = sockets.map(ending);
    for (const socket of sockets) socket.write("hello");
    await Promise.all(sockets.map((socket) => once(socket, "data")));
    listener.destroy();
    expect(await endings[0]).toBe("ECONNRESET");
    expect(other.connections).toBe(1);
    relay.close();
    expect(await endings[1]).toBe("ECONNRESET");
    relay.close();
    expect(() => relay.openRoute()).toThrow("The relay is closed");
    await until(() => openFiles() < before);
  });

  test("passes resets on, both ways", async () => {
    const heard = Promise.withResolvers<Socket>();
    const silent = await serve((socket) => heard.resolve(socket));
    route.update({ endpoints: [silent] });
    const client = open();
    client.write("hello");
    const server = await heard.promise;
    const lost = ending(server);
    await once(server, "data");
    client.resetAndDestroy();
    expect(await lost).toBe("ECONNRESET");
    const rude = await serve((socket) => socket.once("data", () => socket.resetAndDestroy()));
    route.update({ endpoints: [rude] });
    const second = open();
    const hungUp = ending(second);
    second.write("hello");
    expect(await hungUp).toBe("ECONNRESET");
    await until(() => listener.connections === 0);
  });

  test("is as slow as the slower side, and keeps little meanwhile", async () => {
    let sent = 0;
    const flood = await serve((socket) => {
      const block = Buffer.alloc(65_536);
      const pump = () => {
        while (sent < 100_000_000) {
          sent += block.length;
          if (socket.write(block)) continue;
          socket.once("drain", pump);
          return;
        }
        socket.end();
      };
      pump();
    });
    route.update({ endpoints: [flood] });
    const socket = open();
    await once(socket, "connect");
    for (let before = -1; before !== sent; await Bun.sleep(50)) before = sent;
    expect(sent).toBeLessThan(50_000_000);
    let bytes = 0;
    for await (const chunk of socket) bytes += (chunk as Uint8Array).length;
    expect(bytes).toBeGreaterThanOrEqual(100_000_000);
    socket.end();
    await until(() => listener.connections === 0);
  });

  test("refuses who comes when a listener has as many as it may", async () => {
    const echo = await serve((socket) => socket.pipe(socket));
    const small = startTcpRelay({ mostConnections: 2 });
    const few = small.openRoute();
    few.update({ endpoints: [echo] });
    const [one, other] = [few.listen({ ip: HERE, port: 0 }), few.listen({ ip: HERE, port: 0 })];
    const sockets = [open(one.port), open(one.port), open(other.port)];
    for (const socket of sockets) {
      socket.write("hello");
      await once(socket, "data");
    }
    expect([await hear(one.port), one.connections, other.connections]).toEqual(["ECONNRESET", 2, 1]);
    sockets[0]?.end();
    await until(() => one.connections === 1);
    const next = open(one.port);
    next.end("hello");
    expect(await text(next)).toBe("hello");
    small.close();
  });

  test("out of descriptors lets clients wait or hangs up on them, and serves again once there are some", async () => {
    const patient = await serve((socket) => socket.once("data", () => socket.end("answer")));
    const program = join(import.meta.dirname, "tcp-relay.test-support.ts");
    const command = `ulimit -n 64; exec "$0" "$1" ${patient.port}`;
    const child = Bun.spawn(["sh", "-c", command, process.execPath, program], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = linesOf(child.stdout);
    const port = Number((await lines.next()).value);
    const sockets = Array.from({ length: 100 }, () => open(port));
    const heard = sockets.map(async (socket) => {
      try {
        return await text(socket);
      } catch {
        return "hung up";
      } finally {
        socket.destroy();
      }
    });
    // Until nobody more can be let in.
    let before = -1;
    for (let now = 0; now !== before || now === 0;) {
      before = now;
      await Bun.sleep(100);
      await child.stdin.write("\n");
      now = Number((await lines.next()).value);
    }
    expect(before).toBeGreaterThan(10);
    expect(before).toBeLessThan(50);
    for (const socket of sockets) socket.write("question");
    const outcomes = await Promise.all(heard);
    expect(outcomes.filter((each) => each !== "answer" && each !== "hung up")).toEqual([]);
    expect(outcomes.filter((each) => each === "answer").length).toBeGreaterThan(60);
    const last = open(port);
    last.write("question");
    expect(await text(last)).toBe("answer");
    await child.stdin.end();
    expect(await child.exited).toBe(0);
  });

  test("says why an address cannot be had", () => {
    const code = (act: () => unknown) => {
      try {
        act();
      } catch (error) {
        return error instanceof Error && "code" in error ? error.code : String(error);
      }
      return "nothing";
    };
    expect([
      code(() => route.listen({ ip: HERE, port: listener.port })),
      code(() => route.listen({ ip: "203.0.113.9", port: 0 })),
      code(() => route.listen({ fd: 1_000_000 })),
      code(() => route.listen({ ip: "::1", port: 80 })),
      code(() => startTcpRelay({ netns: 1_000_000 })),
    ]).toEqual([
      "EADDRINUSE",
      "EADDRNOTAVAIL",
      "EBADF",
      "TypeError: Not an IPv4 address and a port: ::1:80",
      "EBADF",
    ]);
  });
});

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream) {
    const lines = `${rest}${Buffer.from(chunk).toString()}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** How a socket ended. */
async function ending(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.once("error", (error) => resolve("code" in error ? String(error.code) : String(error)));
  socket.once("end", () => resolve("end"));
  socket.resume();
  return await promise;
}

function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}
