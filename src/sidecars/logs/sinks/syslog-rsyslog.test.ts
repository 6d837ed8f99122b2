/** The syslog sink before the receiver that most people have. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../kernel/clock.ts";
import { FakeHost } from "../../../testing/fake-host.ts";
import { DELIVERED, makeRecord, openSink, send } from "../../../testing/sink-fixtures.ts";
import { TestCertificates } from "../../../testing/test-certificates.ts";

const PROGRAM = ["/usr/sbin/rsyslogd", "/usr/local/sbin/rsyslogd"].find((path) => existsSync(path));
const hasTls =
  PROGRAM !== undefined &&
  existsSync(pluginFolder()) &&
  readdirSync(pluginFolder()).includes("lmnsd_gtls.so");

let folder: string;
let host: FakeHost;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pillion-rsyslog-"));
  host = new FakeHost({ clock: systemClock, pod: { name: "web-0", labels: { app: "web" } } });
});
afterEach(async () => {
  for (const child of children.splice(0)) await stop(child);
  host[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function pluginFolder(): string {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  return `/usr/lib/${machine}-linux-gnu/rsyslog`;
}

/** Begins rsyslogd; resolves when it listens. Its messages go to `out`, as JSON objects. */
async function startRsyslog(port: number, globals = "", stream = ""): Promise<ChildProcess> {
  const config = join(folder, "rsyslog.conf");
  writeFileSync(
    config,
    `global(workDirectory="${folder}" maxMessageSize="64k" ${globals})
    module(load="imtcp" ${stream})
    input(type="imtcp" port="${port}" address="127.0.0.1")
    template(name="json" type="string" string="%jsonmesg%\\n")
    action(type="omfile" file="${join(folder, "out")}" template="json")\n`,
  );
  const child = spawn(PROGRAM ?? "", ["-n", "-f", config, "-i", join(folder, "pid")], { stdio: "ignore" });
  children.push(child);
  while (!(await canConnect(port))) {
    if (child.exitCode !== null) throw new Error(`rsyslogd ended with ${child.exitCode}`);
  }
  return child;
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

type Message = Readonly<Record<string, unknown>>;

/** Resolves with what rsyslog has written when it is so much. */
async function received(count: number): Promise<Message[]> {
  const path = join(folder, "out");
  const read = (): string[] => (existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : []);
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (read().length >= count) resolve();
  };
  const watcher = watch(folder, look);
  look();
  await promise;
  watcher.close();
  return read().map((line) => JSON.parse(line) as Message);
}

test.skipIf(PROGRAM === undefined)(
  "rsyslog reads every part of a message, over TCP, also after it was restarted",
  async () => {
    const port = await freePort();
    const first = await startRsyslog(port);
    const structuredData = { "origin@32473": { team: "shop" } };
    const address = `tcp://127.0.0.1:${port}`;
    const sink = openSink({ syslog: { address, facility: "local3", procId: "7", structuredData } }, host);
    const records = [
      makeRecord(0, { fields: { message: "grüße €", level: "error" } }),
      makeRecord(1, { fields: { message: "x".repeat(20_000) } }),
    ];
    expect(
      await send(
        sink,
        records.map((record) => sink.encode(record)),
      ),
    ).toEqual(DELIVERED);
    const messages = await received(4);
    expect(messages[0]).toMatchObject({
      msg: "grüße €",
      hostname: "web-0",
      "app-name": "web",
      procid: "7",
      msgid: "-",
      "structured-data": '[origin@32473 team="shop"]',
      syslogfacility: "19",
      syslogseverity: "3",
      timereported: "2026-11-21T10:00:00.000000Z",
      "protocol-version": "1",
    });
    const parts = messages.slice(1);
    expect(parts.map((message) => String(message["msg"])).join("")).toBe("x".repeat(20_000));
    expect(parts.map((message) => message["structured-data"])).toEqual(
      [1, 2, 3].map((part) => `[origin@32473 team="shop"][pillion@32473 part="${part}" parts="3"]`),
    );
    await stop(first);
    expect(await send(sink, [sink.encode(makeRecord(2))])).toMatchObject({ kind: "unavailable" });
    await startRsyslog(port);
    expect(await send(sink, [sink.encode(makeRecord(2))])).toEqual(DELIVERED);
    expect((await received(5))[4]).toMatchObject({ msg: "message 2" });
    await sink.close();
  },
);

test.skipIf(!hasTls)(
  "rsyslog reads messages over TLS from a client whose certificate it knows, and from no other",
  async () => {
    using certificates = await TestCertificates.make(["localhost", "127.0.0.1"]);
    using stranger = await TestCertificates.make();
    const port = await freePort();
    writeFileSync(join(folder, "clients.pem"), certificates.client.certificate);
    await startRsyslog(
      port,
      `defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="${join(folder, "clients.pem")}"
     defaultNetstreamDriverCertFile="${certificates.path("server.pem")}" defaultNetstreamDriverKeyFile="${certificates.path("server.key")}"`,
      `StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid"`,
    );
    const open = (own: TestCertificates) => {
      const tls = {
        ca: certificates.path("ca.pem"),
        cert: own.path("client.pem"),
        key: own.path("client.key"),
      };
      return openSink({ syslog: { address: `tls://localhost:${port}`, tls, timeout: "5s" } }, host);
    };
    const refused = open(stranger);
    expect(await send(refused, [refused.encode(makeRecord(0))])).toMatchObject({ kind: "unavailable" });
    const sink = open(certificates);
    expect(await send(sink, [sink.encode(makeRecord(1)), sink.encode(makeRecord(2))])).toEqual(DELIVERED);
    expect((await received(2)).map((message) => message["msg"])).toEqual(["message 1", "message 2"]);
    await Promise.all([sink.close(), refused.close()]);
  },
);
