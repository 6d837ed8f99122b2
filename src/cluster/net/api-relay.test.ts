import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "bun:test";
import { startApiRelay } from "./api-relay.ts";
import { loopbackAddress, loopbackSockets } from "./dns/loopback-sockets.test-support.ts";

const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** Answers what it was told, once it has been told all. */
async function api(): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    void said(socket).then((all) => socket.end(`${all.length} ${all.slice(0, 20)}`));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}

async function relay(apiPort: number) {
  const at = [loopbackAddress(), loopbackAddress()].map((ip) => ({ ip, port: 6443 }));
  const close = await startApiRelay({ sockets: loopbackSockets(), at, apiPort });
  closing.push(close);
  return { at, close };
}

function client({ ip, port }: { readonly ip: string; readonly port: number }) {
  return connect({ host: ip, port, allowHalfOpen: true });
}

describe("startApiRelay()", () => {
  test("leads to the API from every address, whose answer comes after the client's end", async () => {
    const { at } = await relay(await api());
    for (const place of at) {
      const socket = client(place);
      socket.end("x".repeat(1_000_000));
      expect(await said(socket)).toBe(`1000000 ${"x".repeat(20)}`);
    }
  });

  test("hangs up when the API is not there, and ends its connections when it is closed", async () => {
    const { at } = await relay(await api());
    const [place] = at;
    if (place === undefined) throw new Error("no address");
    const open = client(place);
    await new Promise<void>((resolve) => open.once("connect", () => resolve()));
    const closed = new Promise<void>((resolve) =>
      open
        .on("error", () => resolve())
        .on("close", () => resolve())
        .on("end", () => resolve()),
    );
    open.resume();
    for (const close of closing.splice(0).toReversed()) close();
    await closed;
    open.destroy();
    const { at: dead } = await relay(1);
    const socket = client(dead[0] ?? place);
    expect(await said(socket)).toBe("");
  });

  test("refuses an address that is taken, and gives back the others", async () => {
    const apiPort = await api();
    const { at, close } = await relay(apiPort);
    const free = { ip: loopbackAddress(), port: 6443 };
    const start = (places: typeof at) => startApiRelay({ sockets: loopbackSockets(), at: places, apiPort });
    expect(start([free, ...at])).rejects.toMatchObject({ code: "EADDRINUSE" });
    close();
    closing.push(await start([free, ...at]));
  });
});

async function said(socket: Socket): Promise<string> {
  let all = "";
  const { promise, resolve } = Promise.withResolvers<string>();
  socket
    .on("data", (data) => (all += data.toString()))
    .on("end", () => resolve(all))
    .on("error", () => resolve(all))
    .on("close", () => resolve(all));
  return await promise;
}
