import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { startTestApi, type TestApi } from "../api.test-support.ts";
import { writeData, writeRst } from "./spdy-frames.ts";
import {
  createPod,
  openWebSocket,
  processKubelet,
  synStream,
  upgrade,
  WireSpdy,
} from "./streaming.test-support.ts";

const PATH = "/api/v1/namespaces/default/pods/p/portforward";
const SPDY = { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "portforward.k8s.io" };

let api: TestApi;
let server: Server;
let port: number;
let connections: Socket[];
/** What a program in the pod does with a connection. */
let serve: (socket: Socket) => void;

beforeEach(async () => {
  api = await startTestApi({ kubelet: processKubelet() });
  createPod(api);
  connections = [];
  serve = echoWithGoodbye;
  server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.push(socket);
    socket.on("error", () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  port = typeof address === "object" && address !== null ? address.port : 0;
});

afterEach(async () => {
  expect(api.bugs).toEqual([]);
  await api[Symbol.asyncDispose]();
  for (const socket of connections) socket.destroy();
  server.close();
});

function echoWithGoodbye(socket: Socket): void {
  socket.on("data", (bytes) => socket.write(bytes));
  socket.on("end", () => socket.end("bye"));
}

function closed(socket: Socket | undefined): Promise<void> {
  if (socket === undefined || socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

async function openSpdy(): Promise<WireSpdy> {
  return new WireSpdy(await upgrade(api, PATH, SPDY, "POST"));
}

function pair(
  wire: WireSpdy,
  requestId: number,
  to = port,
): { readonly error: number; readonly data: number } {
  const headers = { port: String(to), requestid: String(requestId) };
  return {
    error: wire.open({ streamtype: "error", ...headers }),
    data: wire.open({ streamtype: "data", ...headers }),
  };
}

describe("port-forward over SPDY", () => {
  test("carries bytes both ways; the end of one way leaves the other open", async () => {
    const wire = await openSpdy();
    const { error, data } = pair(wire, 0);
    wire.socket.write(writeData(data, Buffer.from("hello ")));
    wire.socket.write(writeData(data, Buffer.from("pod "), true));
    expect(await wire.readToEnd(data)).toBe("hello pod bye");
    expect(await wire.readToEnd(error)).toBe("");
    await closed(connections[0]);
  });

  test("carries many connections at once", async () => {
    const wire = await openSpdy();
    const pairs = Array.from({ length: 40 }, (_, index) => pair(wire, index));
    for (const [index, { data }] of pairs.entries())
      wire.socket.write(writeData(data, Buffer.from(`${index} `), true));
    const texts: string[] = [];
    for (const { data } of pairs) texts.push(await wire.readToEnd(data));
    expect(texts).toEqual(pairs.map((_, index) => `${index} bye`));
  });

  test("says on the error stream that nobody listens", async () => {
    await new Promise<void>((resolve) => server.close(() => resolve()));
    const wire = await openSpdy();
    const { error } = pair(wire, 0);
    expect(await wire.readToEnd(error)).toBe(
      `error forwarding port ${port} to pod p, uid : failed to connect to localhost:${port} inside namespace: connect: connection refused`,
    );
  });

  test("ends the pod's connection when the client resets its stream or goes", async () => {
    const wire = await openSpdy();
    const [first, second] = [pair(wire, 0), pair(wire, 1)];
    for (const { data } of [first, second]) {
      wire.socket.write(writeData(data, Buffer.from("x")));
      expect(await wire.readSome(data)).toBe("x");
    }
    const [one, two] = connections;
    wire.socket.write(writeRst(first.data, 5));
    await closed(one);
    expect(two?.destroyed).toBe(false);
    wire.socket.destroy();
    await closed(two);
  });

  test("ends the client's stream when the pod's program goes in the middle", async () => {
    const wire = await openSpdy();
    const { data, error } = pair(wire, 0);
    wire.socket.write(writeData(data, Buffer.from("x")));
    expect(await wire.readSome(data)).toBe("x");
    connections[0]?.resetAndDestroy();
    await wire.readToEnd(error);
    await wire.readToEnd(data);
  });

  test("refuses streams that are of no kind, to no port, or twice the same", async () => {
    const wire = await openSpdy();
    const headers = { port: String(port), requestid: "0" };
    for (const bad of [
      { ...headers, streamtype: "other" },
      { ...headers, streamtype: "data", port: "0" },
      { ...headers, streamtype: "data", port: "http" },
    ]) {
      expect(await wire.isReset(wire.open(bad))).toBe(true);
    }
    wire.open({ ...headers, streamtype: "error" });
    expect(await wire.isReset(wire.open({ ...headers, streamtype: "error" }))).toBe(true);
  });

  test("answers data for a stream that was never opened with a reset, and ends the session for an id that goes back", async () => {
    const wire = await openSpdy();
    wire.socket.write(writeData(99, Buffer.from("x")));
    expect(await wire.isReset(99)).toBe(true);
    pair(wire, 0);
    wire.socket.write(synStream(1, { streamtype: "data" }, false));
    await wire.rest.all();
  });

  test("a connection that the pod does not read holds up its client, not the memory", async () => {
    serve = (socket) => socket.pause();
    const wire = await openSpdy();
    const { data } = pair(wire, 0);
    const chunk = writeData(data, Buffer.alloc(65_536));
    let sent = 0;
    // Until neither the kernel nor the server takes any more.
    for (let idle = 0; idle < 20;) {
      if (wire.socket.writableLength > 262_144) {
        idle += 1;
        await api.call("/api/v1/namespaces/default/pods/p");
        continue;
      }
      idle = 0;
      sent += chunk.length;
      wire.socket.write(chunk);
      if (sent > 200_000_000) break;
    }
    expect(sent).toBeLessThan(48 * 1024 * 1024);
    wire.socket.destroy();
  });
});

describe("port-forward in the framing of client-node", () => {
  test("begins each channel with its port and carries both ways", async () => {
    const socket = await openWebSocket(api, `${PATH}?ports=${port}`);
    const portBytes = Buffer.from([port & 0xff, port >> 8]).toString("latin1");
    socket.send(0, "hello ");
    socket.send(255, Uint8Array.of(0));
    const text: Record<number, string> = { 0: "", 1: "" };
    for (;;) {
      const { opcode, payload } = await socket.next();
      if (opcode === 8) break;
      const channel = payload[0] ?? -1;
      text[channel] = `${text[channel] ?? ""}${payload.subarray(1).toString("latin1")}`;
    }
    expect(text).toEqual({ 0: `${portBytes}hello bye`, 1: portBytes });
  });

  test("says on the error channel that nobody listens", async () => {
    await new Promise<void>((resolve) => server.close(() => resolve()));
    const socket = await openWebSocket(api, `${PATH}?ports=${port}`, "v4.channel.k8s.io");
    const { channels, closeCode } = await socket.finish();
    expect(channels[1]).toEndWith("connect: connection refused");
    expect(closeCode).toBe(1000);
  });
});
