import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ManualClock } from "../../../testing/manual-clock.ts";
import type { ExecProcess } from "../../sandbox/process-io.ts";
import { startTestApi, type TestApi } from "../api.test-support.ts";
import { BEAT_MS } from "./heartbeat.ts";
import { writePing } from "./spdy-frames.ts";
import {
  createPod,
  openStreams,
  openWebSocket,
  processKubelet,
  upgrade,
  WEB_SOCKET_HEADERS,
} from "./streaming.test-support.ts";

const PODS = "/api/v1/namespaces/default/pods";
const WEB_SOCKET = { ...WEB_SOCKET_HEADERS, "Sec-WebSocket-Protocol": "v5.channel.k8s.io" };
const SPDY = { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io" };

/** What a scripted process has seen. */
interface Seen {
  /** Bytes of output that were taken from it. */
  taken: number;
  /** Bytes that it was given. */
  given: number;
  ended: boolean;
  /** Somebody reads its output. */
  begun: PromiseWithResolvers<void>;
  detached: PromiseWithResolvers<void>;
}

/** Prints for ever, or nothing at all; never reads what it is given; ends only when it is let go. */
function endless(prints: boolean): { readonly process: ExecProcess; readonly seen: Seen } {
  const seen: Seen = {
    taken: 0,
    given: 0,
    ended: false,
    begun: Promise.withResolvers(),
    detached: Promise.withResolvers(),
  };
  const chunk = Buffer.alloc(65_536, "x");
  const isOver = { now: false };
  async function* output(): AsyncGenerator<Uint8Array> {
    seen.begun.resolve();
    if (!prints) await seen.detached.promise;
    while (!isOver.now) {
      seen.taken += chunk.length;
      yield chunk;
    }
  }
  const process: ExecProcess = {
    stdin: {
      async write(bytes) {
        seen.given += bytes.length;
        await seen.detached.promise;
      },
      end: () => (seen.ended = true),
    },
    stdout: output(),
    resize: () => undefined,
    detach() {
      isOver.now = true;
      seen.detached.resolve();
    },
    exited: new Promise(() => undefined),
    kill: () => undefined,
  };
  return { process, seen };
}

let api: TestApi;

beforeEach(async () => {
  api = await startTestApi({ kubelet: processKubelet() });
  createPod(api);
  createPod(api, "two", ["a", "b"]);
  api.store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "waits", namespace: "default" },
    spec: { containers: [{ name: "main", image: "x" }] },
  });
});

afterEach(async () => {
  expect(api.bugs).toEqual([]);
  await api[Symbol.asyncDispose]();
});

interface Case {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly code: number;
  readonly says: string;
}

describe("an upgrade is refused before it happens", () => {
  const cases: Record<string, Case> = {
    "without a token": {
      path: `${PODS}/p/exec?command=true`,
      headers: { Authorization: "" },
      code: 401,
      says: "Unauthorized",
    },
    "under another site's name": {
      path: `${PODS}/p/exec?command=true`,
      headers: { Host: "evil.example" },
      code: 403,
      says: 'Host "evil.example" is not a name of this cluster',
    },
    "from a web page": {
      path: `${PODS}/p/exec?command=true`,
      headers: { Origin: "https://evil.example" },
      code: 403,
      says: "requests from web pages are not allowed",
    },
    "for a pod that is not there": { path: `${PODS}/none/exec`, code: 404, says: 'pods "none" not found' },
    "for a container that is not there": {
      path: `${PODS}/p/exec?container=x&command=true`,
      code: 400,
      says: "container x is not valid for pod p",
    },
    "when there is a choice of containers": {
      path: `${PODS}/two/attach?stdout=true`,
      code: 400,
      says: "a container name must be specified for pod two, choose one of: [a b]",
    },
    "for a pod without a node": {
      path: `${PODS}/waits/portforward`,
      code: 400,
      says: "pod waits does not have a host assigned",
    },
    "without a command": {
      path: `${PODS}/p/exec?stdout=true`,
      code: 400,
      says: "you must specify at least 1 command for the container",
    },
    "with a broken handshake": {
      path: `${PODS}/p/exec?command=true&stdout=true`,
      headers: { "Sec-WebSocket-Version": "8" },
      code: 400,
      says: "the WebSocket handshake is not one of version 13",
    },
    "of a path that is no stream": {
      path: `${PODS}/p`,
      code: 400,
      says: `"${PODS}/p" cannot be upgraded to another protocol`,
    },
    "by another method": {
      path: `${PODS}/p/exec?command=true`,
      method: "DELETE",
      code: 405,
      says: "the server does not allow this method on the requested resource",
    },
    "to another protocol": {
      path: `${PODS}/p/exec?command=true&stdout=true`,
      headers: { Upgrade: "h2c" },
      code: 400,
      says: "Upgrade request required",
    },
    "without a port that client-node's framing needs": {
      path: `${PODS}/p/portforward`,
      code: 400,
      says: 'query parameter "ports" is required',
    },
    "with a port that is none": {
      path: `${PODS}/p/portforward?ports=80,0`,
      code: 400,
      says: 'port "0" must be > 0 and <= 65535',
    },
  };
  test.each(Object.entries(cases))("%s", async (_what, { path, headers, method, code, says }) => {
    const { head, rest } = await upgrade(api, path, { ...WEB_SOCKET, ...headers }, method);
    const body = (await rest.all()).toString();
    expect({ code: Number(head.split(" ")[1]), type: /content-type: (\S+)/i.exec(head)?.[1] }).toEqual({
      code,
      type: "application/json",
    });
    const status = JSON.parse(body) as { readonly message: string };
    expect(status).toMatchObject({ kind: "Status", code });
    expect(status.message).toContain(says);
  });

  test.each([
    [{ Upgrade: "SPDY/3.1" }, 400, "unable to upgrade: X-Stream-Protocol-Version header is required"],
    [
      { ...SPDY, "X-Stream-Protocol-Version": "v9.channel.k8s.io" },
      403,
      "unable to upgrade: unable to negotiate protocol: client supports [v9.channel.k8s.io], server accepts [v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]",
    ],
    [
      { ...WEB_SOCKET, "Sec-WebSocket-Protocol": "chat" },
      403,
      "unable to upgrade: unable to negotiate protocol: client supports [chat], server accepts [v5.channel.k8s.io v4.channel.k8s.io]",
    ],
  ])("when there is no common protocol: %#", async (headers, code, text) => {
    const { head, rest } = await upgrade(api, `${PODS}/p/exec?command=true&stdout=true`, headers, "POST");
    expect([Number(head.split(" ")[1]), (await rest.all()).toString()]).toEqual([code, text]);
  });

  test("a request that does not ask for one is told to", async () => {
    const { code, body } = await api.call(`${PODS}/p/exec?command=true`, { method: "POST" });
    expect([code, body["message"]]).toEqual([400, "Upgrade request required"]);
  });
});

describe("exec over a WebSocket", () => {
  test("gives output by channel, then the exit code, then closes with 1000", async () => {
    const query = "command=sh&command=-c&command=echo+out;echo+err>%262;exit+3&stdout=true&stderr=true";
    const socket = await openWebSocket(api, `${PODS}/p/exec?${query}`);
    const { channels, closeCode } = await socket.finish();
    expect([channels[1], channels[2], closeCode]).toEqual(["out\n", "err\n", 1000]);
    expect(JSON.parse(channels[3] ?? "")).toEqual({
      metadata: {},
      status: "Failure",
      message: "command terminated with non-zero exit code: exit status 3",
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "3" }] },
    });
  });

  test("takes input until the client half-closes it", async () => {
    const socket = await openWebSocket(api, `${PODS}/p/exec?command=cat&stdin=true&stdout=true`);
    socket.send(0, "one ");
    socket.send(0, "two");
    socket.send(255, Uint8Array.of(0));
    const { channels } = await socket.finish();
    expect([channels[1], JSON.parse(channels[3] ?? "")]).toEqual([
      "one two",
      { metadata: {}, status: "Success" },
    ]);
  });

  test("tells v5 after the upgrade, and others before it, that the container does not run", async () => {
    await using idle = await startTestApi();
    createPod(idle);
    const path = `${PODS}/p/exec?command=true&stdout=true`;
    const socket = await openWebSocket(idle, path);
    const { channels, closeCode } = await socket.finish();
    const why = 'unable to upgrade connection: container not found ("main")';
    expect([closeCode, JSON.parse(channels[3] ?? "")]).toMatchObject([
      1000,
      { status: "Failure", reason: "InternalError", message: `Internal error occurred: ${why}`, code: 500 },
    ]);
    const { head, rest } = await upgrade(idle, path, SPDY, "POST");
    expect(head).toStartWith("HTTP/1.1 500 ");
    expect((await rest.all()).toString()).toBe('container not found ("main")');
  });

  test("50 at once end each with its own output", async () => {
    const outputs = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const socket = await openWebSocket(api, `${PODS}/p/exec?command=echo&command=${index}&stdout=true`);
        return (await socket.finish()).channels[1];
      }),
    );
    expect(outputs).toEqual(Array.from({ length: 50 }, (_, index) => `${index}\n`));
  });
});

/** Enough turns of the server's loop for anything that would run ahead to do so. */
async function keepBusy(): Promise<void> {
  for (let round = 0; round < 40; round += 1) await api.call(`${PODS}/p`);
}

const BOUND = 24 * 1024 * 1024;

describe("a slow side holds up the other, and nothing piles up between them:", () => {
  test.each([
    ["WebSocket", "GET", WEB_SOCKET],
    ["SPDY", "POST", SPDY],
  ])("a client that does not read, over %s", async (_what, method, headers) => {
    const { process, seen } = endless(true);
    await using slow = await startTestApi({ kubelet: processKubelet({ exec: async () => process }) });
    createPod(slow);
    const { socket } = await upgrade(slow, `${PODS}/p/exec?command=yes&stdout=true`, headers, method);
    if (method === "POST") socket.write(openStreams("error", "stdout"));
    socket.pause();
    // The streams of SPDY are unpacked by threads, which take their time on a busy machine.
    await seen.begun.promise;
    await keepBusy();
    for (let round = 0; round < 40; round += 1) await slow.call(`${PODS}/p`);
    expect(seen.taken).toBeGreaterThan(0);
    expect(seen.taken).toBeLessThan(BOUND);
    socket.destroy();
    await seen.detached.promise;
  });

  test("a program that does not read, whose client stays connected and is let go when it goes", async () => {
    const { process, seen } = endless(false);
    const clock = new ManualClock(Date.now());
    await using slow = await startTestApi({ clock, kubelet: processKubelet({ exec: async () => process }) });
    createPod(slow);
    const socket = await openWebSocket(slow, `${PODS}/p/exec?command=sleep&stdin=true&stdout=true`);
    while (socket.send(0, Buffer.alloc(65_536)));
    for (let round = 0; round < 20; round += 1) await slow.call(`${PODS}/p`);
    expect(seen.given).toBeLessThan(BOUND);
    for (let minute = 0; minute < 15; minute += 1) clock.advance(BEAT_MS);
    // kubectl counts on pongs to its pings, which lie behind the input that nobody reads.
    expect([(await socket.next()).opcode, (await socket.next()).opcode]).toEqual([9, 10]);
    expect(seen.ended).toBe(false);
    socket.socket.destroy();
    // The kernel tells it in answer to what is written.
    for (let beat = 0; beat < 5; beat += 1) {
      clock.advance(BEAT_MS);
      await slow.call(`${PODS}/p`);
    }
    await seen.detached.promise;
  });
});

describe("a client that is gone", () => {
  test.each([
    ["WebSocket", "GET", WEB_SOCKET],
    ["SPDY", "POST", SPDY],
  ])("has its process let go: %s", async (_what, method, headers) => {
    const { process, seen } = endless(false);
    await using other = await startTestApi({ kubelet: processKubelet({ exec: async () => process }) });
    createPod(other);
    const path = `${PODS}/p/exec?command=x&stdin=true&stdout=true`;
    const { socket } = await upgrade(other, path, headers, method);
    if (method === "POST") socket.write(openStreams("error", "stdin", "stdout"));
    // A client that goes before there is a process has none to let go.
    await seen.begun.promise;
    socket.destroy();
    await seen.detached.promise;
  });

  test("without a word is found out after a minute, one that answers is not", async () => {
    const { process, seen } = endless(false);
    const clock = new ManualClock(Date.now());
    await using other = await startTestApi({ clock, kubelet: processKubelet({ exec: async () => process }) });
    createPod(other);
    const path = `${PODS}/p/exec?command=x&stdout=true`;
    const { socket, rest } = await upgrade(other, path, SPDY, "POST");
    socket.write(openStreams("error", "stdout"));
    const reply = (await rest.take(54)).subarray(0, 4).toString("hex");
    expect(reply).toBe("80030002");
    for (let beat = 0; beat < 8; beat += 1) {
      clock.advance(BEAT_MS);
      const ping = await rest.take(12);
      expect(ping.toString("hex")).toBe(writePing(beat * 2 + 2).toString("hex"));
      socket.write(ping);
      // Another ping, of the client's own, comes back: then the server has read the answer, too.
      socket.write(writePing(beat * 2 + 1));
      expect((await rest.take(12)).toString("hex")).toBe(writePing(beat * 2 + 1).toString("hex"));
    }
    for (let beat = 0; beat < 4; beat += 1) clock.advance(BEAT_MS);
    await seen.detached.promise;
    await rest.all();
  });

  test("before it has opened its streams has 30 s for it", async () => {
    const clock = new ManualClock(Date.now());
    await using other = await startTestApi({ clock, kubelet: processKubelet() });
    createPod(other);
    const path = `${PODS}/p/exec?command=x&stdout=true`;
    const { socket, rest } = await upgrade(other, path, SPDY, "POST");
    socket.write(openStreams("error"));
    await rest.take(28);
    clock.advance(30_000);
    expect((await rest.all()).subarray(0, 4).toString("hex")).toBe("80030007");
  });
});

describe("bytes that are no protocol", () => {
  test("end a WebSocket with 1002", async () => {
    const socket = await openWebSocket(api, `${PODS}/p/exec?command=cat&stdin=true&stdout=true`);
    socket.socket.write(Buffer.from("this is not a frame of a WebSocket"));
    expect((await socket.finish()).closeCode).toBe(1002);
  });

  test.each([
    ["exec", `${PODS}/p/exec?command=cat&stdout=true`, SPDY],
    ["port-forward", `${PODS}/p/portforward`, { ...SPDY, "X-Stream-Protocol-Version": "portforward.k8s.io" }],
  ])("end a SPDY session of %s", async (_what, path, headers) => {
    const { socket, rest } = await upgrade(api, path, headers, "POST");
    socket.write(Buffer.from([0x80, 9, 0, 0, 0, 0, 0, 0, 1, 2, 3]));
    await rest.all();
  });

  test("in the middle of a request get no answer, and nobody else notices", async () => {
    const socket = await api.connect();
    socket.write(
      "GET /api/v1/namespaces/default/pods/p/exec HTTP/1.1\r\nUpgrade: websocket\r\n\0\0\0\r\n\r\n",
    );
    await new Promise((resolve) => socket.once("close", resolve));
    expect((await api.call(`${PODS}/p`)).code).toBe(200);
  });
});

test("the end of the server ends open streams at once", async () => {
  const { process, seen } = endless(true);
  const other = await startTestApi({ kubelet: processKubelet({ exec: async () => process }) });
  createPod(other);
  const socket = await openWebSocket(other, `${PODS}/p/exec?command=yes&stdout=true`);
  await socket.next();
  await other[Symbol.asyncDispose]();
  await seen.detached.promise;
  await socket.rest.all();
});
