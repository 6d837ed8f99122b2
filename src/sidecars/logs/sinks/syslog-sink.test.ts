import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { systemClock } from "../../../kernel/clock.ts";
import { FakeHost } from "../../../testing/fake-host.ts";
import { DELIVERED, makeBatch, makeRecord, openSink, plain, send } from "../../../testing/sink-fixtures.ts";
import { SyslogReceiver } from "../../../testing/syslog-receiver.ts";
import { TestCertificates } from "../../../testing/test-certificates.ts";

let host: FakeHost;
let receiver: SyslogReceiver;

beforeEach(async () => {
  host = new FakeHost({ clock: systemClock, pod: { name: "web-0", labels: { app: "web" } } });
  receiver = await SyslogReceiver.start();
});
afterEach(async () => {
  host[Symbol.dispose]();
  await receiver[Symbol.asyncDispose]();
});

function open(options: object = {}) {
  return openSink({ syslog: { address: `tcp://127.0.0.1:${receiver.port}`, ...options } }, host);
}

describe("syslog sink", () => {
  test("frames RFC 5424 messages by their octets", async () => {
    const sink = open({
      facility: "local3",
      procId: "7",
      structuredData: { "origin@32473": { team: 'a"b\\c]d' } },
    });
    const records = [
      makeRecord(0, { fields: { message: "grüße €\nzweite Zeile", level: "error" } }),
      makeRecord(1, { fields: { status: 200 }, text: "raw", time: "2026-11-21T11:00:01.1234567+01:00" }),
    ];
    expect(
      await send(
        sink,
        records.map((record) => sink.encode(record)),
      ),
    ).toEqual(DELIVERED);
    await receiver.when(() => receiver.messages.length === 2);
    const data = '[origin@32473 team="a\\"b\\\\c\\]d"]';
    expect(receiver.messages).toEqual([
      `<155>1 2026-11-21T10:00:00.000000Z web-0 web 7 - ${data} grüße €\nzweite Zeile`,
      `<158>1 2026-11-21T10:00:01.123456Z web-0 web 7 - ${data} raw`,
    ]);
    expect(receiver.garbage).toEqual([]);
    await sink.close();
  });

  test("sends JSON, and names of its own choice", async () => {
    const sink = open({ format: "json", hostname: "höst name", appName: "app" });
    await send(sink, makeBatch(sink, 1));
    await receiver.when(() => receiver.messages.length === 1);
    expect(receiver.messages).toEqual([
      '<14>1 2026-11-21T10:00:00.000000Z h_st_name app - - - {"time":"2026-11-21T10:00:00.000Z","message":"message 0","number":0}',
    ]);
    await sink.close();
  });

  test("cuts what is too long into marked parts, no character torn, nothing lost", async () => {
    const sink = open({ maxMessage: 480, structuredData: { "a@1": { b: "c" } } });
    const part =
      /^<14>1 \S+ web-0 web - - \[a@1 b="c"\]\[pillion@32473 part="(\d+)" parts="(\d+)"\] ([\s\S]*)$/;
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 500, maxLength: 2_000 }), async (text) => {
        receiver.messages.length = 0;
        await send(sink, [sink.encode(makeRecord(0, { fields: { message: text } }))]);
        const whole = (): string[] => receiver.messages.map((message) => part.exec(message)?.[3] ?? "?");
        await receiver.when(() => Buffer.byteLength(whole().join("")) >= Buffer.byteLength(text));
        expect(whole().join("")).toBe(text);
        for (const [index, message] of receiver.messages.entries()) {
          expect(Buffer.byteLength(message)).toBeLessThanOrEqual(480);
          expect(part.exec(message)?.slice(1, 3)).toEqual([
            String(index + 1),
            String(receiver.messages.length),
          ]);
        }
      }),
      { numRuns: 30 },
    );
    expect(receiver.garbage).toEqual([]);
    await sink.close();
  });

  test("keeps one connection, says goodbye, and comes back when it was closed by the peer", async () => {
    const sink = open();
    for (let round = 0; round < 5; round++) expect(await send(sink, makeBatch(sink, 2))).toEqual(DELIVERED);
    expect(receiver.connections).toBe(1);
    for (const socket of receiver.sockets) socket.end();
    await receiver.when(() => receiver.sockets.size === 0);
    expect(await send(sink, makeBatch(sink, 2))).toEqual(DELIVERED);
    expect(receiver.connections).toBe(2);
    await receiver.when(() => receiver.messages.length === 12);
    await sink.close();
    await receiver.when(() => receiver.sockets.size === 0);
  });

  test("reaches a receiver by its IPv6 address", async () => {
    await using six = await SyslogReceiver.start({ address: "::1" });
    const sink = open({ address: `tcp://[::1]:${six.port}` });
    expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    await six.when(() => six.messages.length === 1);
    await sink.close();
  });
});

describe("syslog sink, unavailable", () => {
  test("when the peer's kernel does not take it all: written is not delivered", async () => {
    receiver.isDeaf = true;
    const sink = open({ timeout: "2s" });
    const record = makeRecord(0, { fields: { message: "x".repeat(1_000) } });
    const batch = Array.from({ length: 20_000 }, () => sink.encode(record));
    expect(plain(await send(sink, batch))).toEqual({
      kind: "unavailable",
      because: `E_SINK_TIMEOUT: Cannot deliver to syslog at "127.0.0.1:${receiver.port}": it did not answer within 2 s`,
    });
    receiver.isDeaf = false;
    expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
    expect(receiver.connections).toBe(2);
    await sink.close();
  });

  test("when the connection is cut in the middle", async () => {
    receiver.isDeaf = true;
    const sink = open();
    const record = makeRecord(0, { fields: { message: "x".repeat(1_000) } });
    const sending = send(
      sink,
      Array.from({ length: 20_000 }, () => sink.encode(record)),
    );
    await receiver.when(() => receiver.sockets.size === 1);
    for (const socket of receiver.sockets) socket.destroy();
    expect(await sending).toMatchObject({ kind: "unavailable", because: { code: "E_SINK_UNREACHABLE" } });
    await sink.close();
  });

  test("when a new connection takes the bytes and closes: so does a proxy with nobody behind it", async () => {
    const sink = open();
    const sending = send(sink, makeBatch(sink, 3));
    await receiver.when(() => receiver.messages.length === 3);
    for (const socket of receiver.sockets) socket.end();
    expect(await sending).toMatchObject({ kind: "unavailable", because: { code: "E_SINK_UNREACHABLE" } });
    expect(await send(sink, makeBatch(sink, 3))).toEqual(DELIVERED);
    await sink.close();
  });

  test("when the signal aborts, before and in the middle", async () => {
    receiver.isDeaf = true;
    const sink = open();
    const record = makeRecord(0, { fields: { message: "x".repeat(1_000) } });
    const batch = Array.from({ length: 20_000 }, () => sink.encode(record));
    expect(await sink.send(batch, AbortSignal.abort())).toMatchObject({ kind: "unavailable" });
    expect(receiver.connections).toBe(0);
    const stop = new AbortController();
    const sending = sink.send(batch, stop.signal);
    await receiver.when(() => receiver.sockets.size === 1);
    stop.abort();
    expect(await sending).toMatchObject({ kind: "unavailable" });
    await sink.close();
  });

  test.each([
    ["nobody listens", "tcp://127.0.0.1:1", "E_SINK_REFUSED"],
    ["the name does not resolve", "tcp://syslog.invalid:514", "E_SINK_NAME"],
  ])("when %s", async (_, address, code) => {
    const sink = open({ address });
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({ kind: "unavailable", because: { code } });
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({ kind: "unavailable", because: { code } });
    await sink.close();
  });
});

describe("syslog sink over TLS", () => {
  test("sends to a receiver that it trusts, with its own certificate, and renews it", async () => {
    using certificates = await TestCertificates.make();
    using stranger = await TestCertificates.make();
    const { server, client, ca } = certificates;
    const tls = {
      cert: server.certificate,
      key: server.key,
      ca: client.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    };
    await using secure = await SyslogReceiver.start({ tls });
    const files = {
      ca: stranger.path("ca.pem"),
      cert: stranger.path("client.pem"),
      key: stranger.path("client.key"),
    };
    const sink = open({ address: `tls://localhost:${secure.port}`, tls: files });
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({
      kind: "unavailable",
      because: { code: "E_SINK_TLS" },
    });
    stranger.write("ca.pem", ca);
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({ kind: "unavailable" });
    stranger.write("client.pem", client.certificate);
    stranger.write("client.key", client.key);
    for (let round = 0; round < 3; round++) expect(await send(sink, makeBatch(sink, 2))).toEqual(DELIVERED);
    await secure.when(() => secure.messages.length === 6);
    await sink.close();
    await secure.when(() => secure.sockets.size === 0);
  });

  test.each([
    ["a wrong name", { serverName: "other" }, "E_SINK_TLS"],
    ["no authority of one's own", undefined, "E_SINK_TLS"],
  ])("refuses %s", async (_, options, code) => {
    using certificates = await TestCertificates.make();
    const { server } = certificates;
    await using secure = await SyslogReceiver.start({ tls: { cert: server.certificate, key: server.key } });
    const tls = options === undefined ? undefined : { ca: certificates.path("ca.pem"), ...options };
    const sink = open({ address: `tls://localhost:${secure.port}`, tls });
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({ kind: "unavailable", because: { code } });
    expect(secure.messages).toEqual([]);
    await sink.close();
  });

  test("takes the address for the name where it is one, and anything with `insecureSkipVerify`", async () => {
    using certificates = await TestCertificates.make(["127.0.0.1"]);
    const { server } = certificates;
    await using secure = await SyslogReceiver.start({ tls: { cert: server.certificate, key: server.key } });
    for (const tls of [{ ca: certificates.path("ca.pem") }, { insecureSkipVerify: true }]) {
      const sink = open({ address: `tls://127.0.0.1:${secure.port}`, tls });
      expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
      await sink.close();
    }
  });
});
