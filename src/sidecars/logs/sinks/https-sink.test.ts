import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { systemClock } from "../../../kernel/clock.ts";
import { FakeHost } from "../../../testing/fake-host.ts";
import { ScriptedServer } from "../../../testing/scripted-server.ts";
import { DELIVERED, makeBatch, openSink, plain, send } from "../../../testing/sink-fixtures.ts";
import { TestCertificates } from "../../../testing/test-certificates.ts";

let certificates: TestCertificates;
let host: FakeHost;

beforeAll(async () => {
  certificates = await TestCertificates.make(["localhost"]);
});
afterAll(() => certificates[Symbol.dispose]());
beforeEach(() => {
  host = new FakeHost({ clock: systemClock });
});
afterEach(() => host[Symbol.dispose]());

/** A server that only talks to the test's own client. */
function startStrict(): Promise<ScriptedServer> {
  const { server, client } = certificates;
  return ScriptedServer.start({
    answer: () => ({ status: 200 }),
    address: "127.0.0.1",
    tls: {
      cert: server.certificate,
      key: server.key,
      ca: client.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
  });
}

function startPlain(): Promise<ScriptedServer> {
  const { server } = certificates;
  return ScriptedServer.start({
    answer: () => ({ status: 200 }),
    tls: { cert: server.certificate, key: server.key },
  });
}

test("an authority of one's own is trusted, and the connection kept", async () => {
  await using server = await startPlain();
  const tls = { ca: certificates.path("ca.pem") };
  const sink = openSink({ http: { url: `https://localhost:${server.port}`, tls } }, host);
  for (let round = 0; round < 5; round++) expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
  expect(server.connections).toBe(1);
  await sink.close();
});

test("an unknown authority and a wrong name are refused, unless the name or the carelessness is configured", async () => {
  await using server = await startPlain();
  const ca = certificates.path("ca.pem");
  const outcomeFor = async (hostname: string, tls: object | undefined): Promise<unknown> => {
    const sink = openSink({ http: { url: `https://${hostname}:${server.port}`, tls } }, host);
    const outcome = await send(sink, makeBatch(sink, 1));
    await sink.close();
    return outcome;
  };
  const refused = { kind: "unavailable", because: { code: "E_SINK_TLS" } };
  expect(await outcomeFor("localhost", undefined)).toMatchObject(refused);
  expect(await outcomeFor("127.0.0.1", { ca })).toMatchObject(refused);
  expect(server.requests).toEqual([]);
  expect(await outcomeFor("127.0.0.1", { ca, serverName: "localhost" })).toEqual(DELIVERED);
  expect(await outcomeFor("127.0.0.1", { insecureSkipVerify: true })).toEqual(DELIVERED);
});

test("a client certificate is presented, and read again after it was renewed", async () => {
  using own = await TestCertificates.make();
  await using server = await startStrict();
  const tls = { ca: certificates.path("ca.pem"), cert: own.path("client.pem"), key: own.path("client.key") };
  const sink = openSink({ http: { url: `https://localhost:${server.port}`, tls } }, host);
  expect(await send(sink, makeBatch(sink, 1))).toMatchObject({ kind: "unavailable" });
  own.write("client.pem", certificates.client.certificate);
  own.write("client.key", certificates.client.key);
  expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
  await sink.close();
});

test("a half renewed pair, a removed file and garbage leave the last good set in use", async () => {
  using own = await TestCertificates.make();
  await using server = await startStrict();
  own.write("client.pem", certificates.client.certificate);
  own.write("client.key", certificates.client.key);
  own.write("ca.pem", certificates.ca);
  const tls = { ca: own.path("ca.pem"), cert: own.path("client.pem"), key: own.path("client.key") };
  const sink = openSink({ http: { url: `https://localhost:${server.port}`, tls } }, host);
  expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
  own.write("client.pem", own.client.certificate);
  expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
  own.write("ca.pem", "garbage");
  expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
  own[Symbol.dispose]();
  expect(await send(sink, makeBatch(sink, 1))).toEqual(DELIVERED);
  await sink.close();
});

test.each([
  ["missing", { ca: "/nowhere/ca.pem" }, "ENOENT"],
  ["no PEM", { ca: import.meta.path }, "Invalid CA"],
])("files that are %s are named before anything is sent", async (_, tls, words) => {
  await using server = await startPlain();
  const sink = openSink({ http: { url: `https://localhost:${server.port}`, tls } }, host);
  const outcome = JSON.stringify(plain(await send(sink, makeBatch(sink, 1))));
  expect(outcome).toContain("E_SINK_CERTIFICATES");
  expect(outcome).toContain(words);
  expect(server.connections).toBe(0);
  await sink.close();
});

test("TLS spoken to a plain receiver, and plain HTTP to a TLS one, are unavailable", async () => {
  await using secure = await startPlain();
  await using open = await ScriptedServer.start({ answer: () => ({ status: 200 }) });
  for (const url of [`http://localhost:${secure.port}`, `https://127.0.0.1:${open.port}`]) {
    const sink = openSink({ http: { url, timeout: "300ms" } }, host);
    expect(await send(sink, makeBatch(sink, 1))).toMatchObject({ kind: "unavailable" });
    await sink.close();
  }
});
