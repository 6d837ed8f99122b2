import { describe, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { openPortRelay } from "./port-relay.ts";

async function serve(onSocket: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, onSocket);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

function to(port: number): () => Promise<Duplex> {
  return () =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      socket.once("connect", () => resolve(socket)).once("error", reject);
    });
}

/** What comes back when `said` was sent and the client's side ended. */
async function ask(port: number, said: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.end(said);
  return text(socket);
}

describe("openPortRelay()", () => {
  test("passes on both ways, and the end of each side for itself [N8]", async () => {
    const { server, port } = await serve((socket) => {
      let said = "";
      socket.on("data", (data) => (said += String(data))).on("end", () => socket.end(`you said ${said}`));
    });
    const relay = await openPortRelay({ address: "127.0.0.1", port: 0, connect: to(port) });
    expect(await Promise.all([ask(relay.port, "a"), ask(relay.port, "b")])).toEqual([
      "you said a",
      "you said b",
    ]);
    const large = "x".repeat(3_000_000);
    expect(await ask(relay.port, large)).toBe(`you said ${large}`);
    relay.close();
    server.close();
  });

  test("is as slow as the slower side", async () => {
    let sent = 0;
    const { server, port } = await serve((socket) => {
      socket.on("error", () => undefined);
      const block = Buffer.alloc(65_536);
      const pump = () => {
        while (sent < 200_000_000) {
          sent += block.length;
          if (socket.write(block)) continue;
          socket.once("drain", pump);
          return;
        }
        socket.end();
      };
      pump();
    });
    const relay = await openPortRelay({ address: "127.0.0.1", port: 0, connect: to(port) });
    const reader = connect({ port: relay.port, host: "127.0.0.1" });
    const first = await new Promise<Buffer>((resolve) => reader.once("data", resolve));
    reader.pause();
    expect(first.length).toBeGreaterThan(0);
    // Everything that can still move has moved when nothing has for a while.
    for (let before = -1; before !== sent;) {
      before = sent;
      for (let turn = 0; turn < 50; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeLessThan(60_000_000);
    reader.destroy();
    relay.close();
    server.close();
  });

  test("hangs up when nobody listens behind it, and goes on", async () => {
    const { server, port } = await serve((socket) => socket.end("here"));
    const targets = [() => Promise.reject(new Error("ECONNREFUSED")), to(port)];
    const relay = await openPortRelay({
      address: "127.0.0.1",
      port: 0,
      connect: () => targets.shift()?.() ?? Promise.reject(new Error("no more")),
    });
    expect(await ask(relay.port, "").catch(() => "")).toBe("");
    expect(await ask(relay.port, "")).toBe("here");
    relay.close();
    server.close();
  });

  test("says when another program has the port, and frees it when it closes [N8]", async () => {
    const { server, port } = await serve(() => undefined);
    const open = () => openPortRelay({ address: "127.0.0.1", port, connect: to(1) });
    expect(await open().catch((error: NodeJS.ErrnoException) => error.code)).toBe("EADDRINUSE");
    await new Promise<void>((resolve) => server.close(() => resolve()));
    const relay = await open();
    expect(relay).toMatchObject({ port });
    relay.close();
    relay.close();
    await new Promise<void>((resolve) => setImmediate(resolve));
    (await open()).close();
  });

  test("ends the connections that are open when it closes", async () => {
    const { server, port } = await serve(() => undefined);
    const relay = await openPortRelay({ address: "127.0.0.1", port: 0, connect: to(port) });
    const client = connect({ port: relay.port, host: "127.0.0.1" });
    client.on("error", () => undefined);
    await new Promise<void>((resolve) => client.once("connect", () => resolve()));
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
    relay.close();
    await closed;
    server.close();
  });
});
