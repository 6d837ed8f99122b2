import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../../kernel/clock.ts";
import { Problem } from "../../../kernel/problem.ts";
import { FakeHost } from "../../../testing/fake-host.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { RecordSink } from "../../../testing/record-sink.ts";
import { type Fault, type Reply, ScriptedServer } from "../../../testing/scripted-server.ts";
import { DELIVERED, makeBatch, openSink, plain, send } from "../../../testing/sink-fixtures.ts";

let host: FakeHost;
let receiver: RecordSink;

beforeEach(async () => {
  host = new FakeHost({ clock: systemClock, env: { TOKEN: "s3cr3t-token", PASSWORD: "s3cr3t" } });
  receiver = await RecordSink.start();
});

afterEach(async () => {
  host[Symbol.dispose]();
  await receiver[Symbol.asyncDispose]();
});

describe("http sink", () => {
  test.each(["none", "gzip", "zstd"])("delivers NDJSON, compressed with %s", async (compress) => {
    const sink = openSink({ http: { url: `${receiver.server.url}/in?team=a`, compress } }, host);
    expect(await send(sink, makeBatch(sink, 3))).toEqual(DELIVERED);
    const [request] = receiver.server.requests;
    expect(request?.body).toBe(
      [0, 1, 2]
        .map((n) => `{"time":"2026-11-21T10:00:0${n}.000Z","message":"message ${n}","number":${n}}\n`)
        .join(""),
    );
    expect([request?.method, request?.path, request?.query.get("team")]).toEqual(["POST", "/in", "a"]);
    expect(request?.headers).toMatchObject({
      "content-type": "application/x-ndjson",
      "user-agent": "Pillion",
      ...(compress === "none" ? {} : { "content-encoding": compress }),
    });
    expect(request?.headers["content-encoding"]).toBe(compress === "none" ? undefined : compress);
    await sink.close();
  });

  test("delivers an array with `format: json`", async () => {
    await using server = await ScriptedServer.start({ answer: () => ({ status: 201 }) });
    const sink = openSink({ http: { url: server.url, format: "json" } }, host);
    expect(await send(sink, makeBatch(sink, 2))).toEqual(DELIVERED);
    expect(JSON.parse(server.requests[0]?.body ?? "")).toEqual([
      { time: "2026-11-21T10:00:00.000Z", message: "message 0", number: 0 },
      { time: "2026-11-21T10:00:01.000Z", message: "message 1", number: 1 },
    ]);
    expect(server.requests[0]?.headers["content-type"]).toBe("application/json");
    await sink.close();
  });

  test("sends headers and secrets, read anew for every request", async () => {
    const env: Record<string, string> = { TOKEN: "first" };
    using changing = new FakeHost({ clock: systemClock, env });
    const http = {
      url: receiver.server.url,
      headers: { "X-Source": "shop", "X-Key": { env: "TOKEN" } },
      auth: { bearer: { env: "TOKEN" } },
    };
    const sink = openSink({ http }, changing);
    await send(sink, makeBatch(sink, 1));
    env["TOKEN"] = "second";
    await send(sink, makeBatch(sink, 1));
    expect(
      receiver.server.requests.map(({ headers }) => [
        headers["x-source"],
        headers["x-key"],
        headers["authorization"],
      ]),
    ).toEqual([
      ["shop", "first", "Bearer first"],
      ["shop", "second", "Bearer second"],
    ]);
    await sink.close();
  });

  test.each([
    [{ basic: { user: "ada", password: { env: "PASSWORD" } } }, `Basic ${btoa("ada:s3cr3t")}`],
    [{ apiKey: { env: "TOKEN" } }, "ApiKey s3cr3t-token"],
  ])("authenticates with %j", async (auth, header) => {
    const sink = openSink({ http: { url: receiver.server.url, auth } }, host);
    await send(sink, makeBatch(sink, 1));
    expect(receiver.server.requests[0]?.headers["authorization"]).toBe(header);
    await sink.close();
  });

  test("takes any 2xx for an acknowledgement, even when the body behind it breaks off", async () => {
    const sink = openSink({ http: { url: receiver.server.url } }, host);
    const faults: Fault[] = [{ status: 200, body: "thanks" }, { status: 202 }, { status: 299 }, "cut-answer"];
    receiver.server.faults.push(...faults);
    for (const _ of faults) expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    await sink.close();
  });

  test("keeps one connection for many requests", async () => {
    const sink = openSink({ http: { url: receiver.server.url } }, host);
    for (let round = 0; round < 50; round++) await send(sink, makeBatch(sink, 1));
    expect(receiver.server.connections).toBe(1);
    await sink.close();
    await receiver.server.whenIdle();
  });
});

describe("http sink, refused or unavailable", () => {
  const busy =
    (status: number, code: string, words = "") =>
    (at: string) => ({
      kind: "unavailable",
      because: `${code}: Cannot deliver to http at "${at}": it answered HTTP ${status}${words}`,
    });
  const moved = ", a redirect, and records are not sent to places that the configuration does not name";
  test.each<[Reply, (at: string) => object]>([
    [{ status: 400, body: "bad\n\tline 7" }, () => ({ kind: "refused", reason: "HTTP 400: bad line 7" })],
    [{ status: 422 }, () => ({ kind: "refused", reason: "HTTP 422" })],
    [{ status: 413, body: "too big" }, () => ({ kind: "too-large", reason: "HTTP 413: too big" })],
    [{ status: 429 }, busy(429, "E_SINK_BUSY", ": it takes less than is sent")],
    [{ status: 500 }, busy(500, "E_SINK_DOWN")],
    [{ status: 503 }, busy(503, "E_SINK_DOWN")],
    [{ status: 401 }, busy(401, "E_SINK_DENIED")],
    [{ status: 403 }, busy(403, "E_SINK_DENIED")],
    [{ status: 404 }, busy(404, "E_SINK_PATH", ' for the path "/in"')],
    [{ status: 405 }, busy(405, "E_SINK_PATH", ' for the path "/in"')],
    [{ status: 408 }, busy(408, "E_SINK_ANSWER")],
    [{ status: 415 }, busy(415, "E_SINK_FORMAT", ": it does not take this format or compression")],
    [{ status: 301, headers: { location: "https://elsewhere/?token=x" } }, busy(301, "E_SINK_MOVED", moved)],
    [{ status: 304 }, busy(304, "E_SINK_MOVED", moved)],
    [{ status: 600 }, busy(600, "E_SINK_DOWN")],
  ])("%j", async (reply, outcome) => {
    const sink = openSink({ http: { url: `${receiver.server.url}/in?token=s3cr3t` } }, host);
    receiver.server.faults.push(reply);
    expect(plain(await send(sink, makeBatch(sink, 2)))).toEqual(outcome(`127.0.0.1:${receiver.server.port}`));
    expect(await send(sink, makeBatch(sink, 2))).toEqual(DELIVERED);
    await sink.close();
  });

  test.each([
    ["7", 7_000],
    ["0", 0],
    ["100000", 600_000],
    [new Date(Date.UTC(2026, 0, 1, 0, 0, 30)).toUTCString(), 30_000],
    [new Date(Date.UTC(2025, 0, 1)).toUTCString(), 0],
  ])("hands on Retry-After: %s", async (header, ms) => {
    using still = new FakeHost();
    const sink = openSink({ http: { url: receiver.server.url } }, still);
    receiver.server.faults.push({ status: 429, headers: { "retry-after": header } });
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({ kind: "unavailable", retryAfterMs: ms });
    await sink.close();
  });

  test.each<[Fault, string]>([
    ["cut", "E_SINK_UNREACHABLE"],
    ["garbage", "E_SINK_ANSWER"],
    ["endless", "E_SINK_DOWN"],
  ])("%s is %s and leaves no connection behind", async (fault, code) => {
    const sink = openSink({ http: { url: receiver.server.url } }, host);
    receiver.server.faults.push(fault);
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({ kind: "unavailable", because: { code } });
    await receiver.server.whenIdle();
    expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    await sink.close();
  });

  test("a receiver that hangs is given up after `timeout`, and its connection with it", async () => {
    const clock = new ManualClock();
    using still = new FakeHost({ clock });
    const sink = openSink({ http: { url: receiver.server.url, timeout: "3s" } }, still);
    receiver.server.faults.push("hang");
    const sending = send(sink, makeBatch(sink, 1));
    await receiver.server.whenRequested(1);
    clock.advance(3_000);
    expect(plain(await sending)).toEqual({
      kind: "unavailable",
      because: `E_SINK_TIMEOUT: Cannot deliver to http at "127.0.0.1:${receiver.server.port}": it did not answer within 3 s`,
    });
    await receiver.server.whenIdle();
    expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    expect(clock.pending).toBe(0);
    await sink.close();
  });

  test("gives up at once when the signal aborts, before and during the request", async () => {
    const sink = openSink({ http: { url: receiver.server.url } }, host);
    const batch = makeBatch(sink, 1);
    expect(await sink.send(batch, AbortSignal.abort())).toMatchObject({ kind: "unavailable" });
    const stop = new AbortController();
    receiver.server.faults.push("hang");
    const sending = sink.send(batch, stop.signal);
    await receiver.server.whenRequested(1);
    stop.abort();
    expect(await sending).toMatchObject({ kind: "unavailable" });
    await receiver.server.whenIdle();
    expect(receiver.counts.size).toBe(0);
    await sink.close();
  });

  test("nobody listens", async () => {
    const { port } = receiver.server;
    await receiver[Symbol.asyncDispose]();
    const sink = openSink({ http: { url: `http://127.0.0.1:${port}` } }, host);
    expect(plain(await send(sink, makeBatch(sink, 1)))).toEqual({
      kind: "unavailable",
      because: `E_SINK_REFUSED: Cannot deliver to http at "127.0.0.1:${port}": nothing listens there`,
    });
    receiver = await RecordSink.start({ port });
    expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    await sink.close();
  });

  test("a name that does not resolve", async () => {
    const sink = openSink({ http: { url: "http://receiver.invalid/x" } }, host);
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({
      kind: "unavailable",
      because: { code: "E_SINK_NAME", fix: expect.stringContaining('"receiver.invalid"') },
    });
    await sink.close();
  });

  test("a secret that is not there, and one that no header can carry, are named by their place", async () => {
    using odd = new FakeHost({ clock: systemClock, env: { ODD: "geheim\nX-Evil: 1" } });
    const sinks = [{ env: "NONE" }, { env: "ODD" }].map((bearer) =>
      openSink({ http: { url: receiver.server.url, auth: { bearer } } }, odd),
    );
    const outcomes = await Promise.all(sinks.map((sink) => send(sink, makeBatch(sink, 1))));
    expect(outcomes).toMatchObject([
      { kind: "unavailable", because: { code: "E_SECRET_MISSING" } },
      {
        kind: "unavailable",
        because: { code: "E_SINK_SECRET", message: expect.stringContaining('variable "ODD"') },
      },
    ]);
    expect(JSON.stringify(outcomes.map(plain))).not.toContain("geheim");
    expect(receiver.server.requests).toEqual([]);
    await Promise.all(sinks.map((sink) => sink.close()));
  });

  test("no error holds a token, a password or a query", async () => {
    const http = { url: `${receiver.server.url}/in?key=s3cr3t-key`, auth: { bearer: { env: "TOKEN" } } };
    const sink = openSink({ http }, host);
    for (const fault of [
      { status: 401 },
      { status: 404 },
      { status: 302 },
      "cut",
      "garbage",
    ] satisfies Fault[]) {
      receiver.server.faults.push(fault);
      const outcome = await send(sink, makeBatch(sink, 1));
      const because = outcome.kind === "unavailable" ? outcome.because : undefined;
      expect(because).toBeInstanceOf(Problem);
      expect(Bun.inspect(because)).not.toContain("s3cr3t");
    }
    await sink.close();
  });
});

test("http sink goes through a proxy only when it is told to", async () => {
  const seen: string[] = [];
  await using proxy = await ScriptedServer.start({
    answer: ({ headers }) => {
      seen.push(headers["host"] ?? "");
      return { status: 200 };
    },
  });
  const before = process.env["HTTP_PROXY"];
  process.env["HTTP_PROXY"] = proxy.url;
  try {
    const direct = openSink({ http: { url: receiver.server.url } }, host);
    expect(await send(direct, makeBatch(direct, 1))).toEqual(DELIVERED);
    expect([receiver.counts.size, seen]).toEqual([1, []]);
    const through = openSink({ http: { url: "http://receiver.invalid/", proxy: proxy.url } }, host);
    expect(await send(through, makeBatch(through, 1))).toEqual(DELIVERED);
    expect(seen).toEqual(["receiver.invalid"]);
    await Promise.all([direct.close(), through.close()]);
  } finally {
    if (before === undefined) delete process.env["HTTP_PROXY"];
    else process.env["HTTP_PROXY"] = before;
  }
});

test("http sink reaches a receiver by its IPv6 address", async () => {
  await using server = await ScriptedServer.start({ answer: () => ({ status: 200 }), address: "::1" });
  const sink = openSink({ http: { url: server.url } }, host);
  expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
  await sink.close();
});
