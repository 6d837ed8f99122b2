import { connect, type Socket } from "node:net";
import { Resolver } from "node:dns/promises";
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../../kernel/clock.ts";
import { askOverTcp, askOverUdp, type ServerAddress } from "./ask-server.ts";
import { decodeMessage } from "./decode-message.ts";
import { dnsCluster } from "./dns-cluster.test-support.ts";
import {
  CLASS_IN,
  type DnsMessage,
  type Question,
  queryFor,
  RCODE,
  type ResourceRecord,
  TYPE,
} from "./dns-message.ts";
import { nameOf } from "./domain-name.ts";
import { encodeMessage } from "./encode-message.ts";
import { loopbackAddress, loopbackSockets } from "./loopback-sockets.test-support.ts";
import { serveDns } from "./serve-dns.ts";
import { startClusterDns } from "./start-cluster-dns.ts";
import { createFrameReader, framed } from "./tcp-frames.ts";

const never = new AbortController().signal;
const PORT = 5353;
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A resolver that has answers ready; `undefined` stays silent. */
async function upstream(
  answer: (query: DnsMessage, transport: "udp" | "tcp") => Partial<DnsMessage> | Uint8Array | undefined,
) {
  const at = { ip: loopbackAddress(), port: PORT };
  const close = await serveDns({
    sockets: loopbackSockets(),
    at,
    onError: fail,
    answer: async (bytes, transport) => {
      const query = decodeMessage(bytes);
      const said = answer(query, transport);
      if (said === undefined || said instanceof Uint8Array) return said;
      return encodeMessage({ ...query, isResponse: true, recursionAvailable: true, ...said });
    },
  });
  closing.push(close);
  return at;
}

async function cluster(upstreams: readonly ServerAddress[] = []) {
  const at = { ip: loopbackAddress(), port: PORT };
  const close = await startClusterDns({
    source: dnsCluster(),
    sockets: loopbackSockets(),
    clock: systemClock,
    onError: fail,
    at,
    upstreams: () => upstreams,
  });
  closing.push(close);
  return at;
}

function fail(error: unknown): void {
  throw error;
}

function question(name: string, type: keyof typeof TYPE = "A"): Question {
  return { name: nameOf(name), type: TYPE[type], class: CLASS_IN };
}

function query(name: string, edns?: DnsMessage["edns"]) {
  return { question: question(name), edns, checkingDisabled: false };
}

function address(name: string, ip: readonly number[]): ResourceRecord {
  return {
    name: nameOf(name),
    type: TYPE.A,
    class: CLASS_IN,
    ttl: 60,
    value: { kind: "address", bytes: Uint8Array.from(ip) },
  };
}

const outside = "www.example.com";

describe("startClusterDns()", () => {
  test("[SV8] answers the runtime's own resolver, over UDP", async () => {
    const { ip, port } = await cluster();
    const resolver = new Resolver();
    resolver.setServers([`${ip}:${port}`]);
    expect(await resolver.resolve4("web.default.svc.cluster.local")).toEqual(["10.96.7.7"]);
    expect(await resolver.resolveSrv("_http._tcp.web.default.svc.cluster.local")).toEqual([
      { name: "web.default.svc.cluster.local", port: 80, priority: 0, weight: 100 },
    ]);
    expect(await resolver.reverse("10.96.7.7")).toEqual(["web.default.svc.cluster.local"]);
    expect(resolver.resolve4("nobody.default.svc.cluster.local")).rejects.toMatchObject({
      code: "ENOTFOUND",
    });
  });

  test("answers several questions on one connection, however they are cut, and after the client's end", async () => {
    const at = await cluster();
    const names = [
      "web.default.svc.cluster.local",
      "nobody.default.svc.cluster.local",
      "db.default.svc.cluster.local",
    ];
    const bytes = Buffer.concat(
      names.map((name, id) => framed(encodeMessage(queryFor(question(name), { id, edns: undefined })))),
    );
    const socket = connect({ host: at.ip, port: at.port, allowHalfOpen: true });
    for (const byte of bytes) socket.write(Uint8Array.of(byte));
    socket.end();
    const answers = await messagesOf(socket);
    const inOrder = answers.toSorted((one, other) => one.id - other.id);
    expect(inOrder.map(({ id, rcode, answers: found }) => [id, rcode, found.length])).toEqual([
      [0, RCODE.NOERROR, 1],
      [1, RCODE.NXDOMAIN, 0],
      [2, RCODE.NOERROR, 2],
    ]);
  });

  test.each([
    ["a broken name", [...header(), 0xc0, 12, 0, 1, 0, 1], RCODE.FORMERR],
    ["an unknown opcode", [0, 1, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1], RCODE.NOTIMP],
    ["another class", [...header(), 0, 0, 1, 0, 3], RCODE.REFUSED],
    ["a zone transfer", [...header(), 0, 0, 252, 0, 1], RCODE.REFUSED],
    ["a later EDNS", [...header(1), 0, 0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0], RCODE.BADVERS],
  ])("tells who sends %s", async (_, bytes, rcode) => {
    const at = await cluster();
    const socket = connect({ host: at.ip, port: at.port, allowHalfOpen: true });
    socket.end(framed(Uint8Array.from(bytes)));
    const [raw] = await rawMessagesOf(socket);
    expect(raw?.[3] ?? -1).toBe(0x80 + (rcode & 0xf));
  });

  test("hangs up on who sends no question, and leaves answers unanswered", async () => {
    const at = await cluster();
    for (const bytes of [
      [1, 2, 3],
      [0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]) {
      const socket = connect({ host: at.ip, port: at.port });
      socket.write(framed(Uint8Array.from(bytes)));
      expect(await rawMessagesOf(socket)).toEqual([]);
    }
  });

  test("hands on what the resolver says, to the client's own id, unknown types included", async () => {
    const seen: DnsMessage[] = [];
    const server = await upstream((asked) => {
      seen.push(asked);
      return { answers: [address(outside, [192, 0, 2, 7])], authenticData: true };
    });
    const at = await cluster([server]);
    const { message } = await askOverUdp(
      at,
      query(outside, { udpSize: 4096, version: 0, dnssecOk: true }),
      never,
    );
    expect(message).toMatchObject({
      authenticData: true,
      rcode: 0,
      answers: [address(outside, [192, 0, 2, 7])],
    });
    expect(seen[0]).toMatchObject({ edns: { udpSize: 1232, dnssecOk: true }, question: question(outside) });
  });

  test("[SV7] follows the alias of an ExternalName Service to where it leads", async () => {
    const server = await upstream((asked) => ({
      answers: [address(asked.question?.name.join(".") ?? "", [192, 0, 2, 7])],
    }));
    const at = await cluster([server]);
    const { message } = await askOverUdp(at, query("outside.default.svc.cluster.local"), never);
    expect(message.answers.map(({ name, type }) => [name.join("."), type])).toEqual([
      ["outside.default.svc.cluster.local", TYPE.CNAME],
      [outside, TYPE.A],
    ]);
  });

  test("asks the next resolver when one is not there, refuses, answers another question or sends nonsense", async () => {
    const dead = { ip: loopbackAddress(), port: PORT };
    const refusing = await upstream(() => ({ rcode: RCODE.REFUSED }));
    const good = await upstream(() => ({ answers: [address(outside, [192, 0, 2, 9])] }));
    const { message } = await askOverUdp(await cluster([dead, refusing, good]), query(outside), never);
    expect(message.answers).toEqual([address(outside, [192, 0, 2, 9])]);
    const { message: refused } = await askOverUdp(await cluster([dead, refusing]), query(outside), never);
    expect(refused.rcode).toBe(RCODE.REFUSED);
  });

  test("waits on for the answer to its own question after one to another, or under another id", async () => {
    const at = { ip: loopbackAddress(), port: PORT };
    const wrong = await Bun.udpSocket({
      hostname: at.ip,
      port: at.port,
      socket: {
        data(socket, data, port, host) {
          const asked = decodeMessage(Uint8Array.from(data));
          const good: DnsMessage = {
            ...asked,
            isResponse: true,
            answers: [address(outside, [192, 0, 2, 1])],
          };
          const answers = [
            { ...good, id: asked.id ^ 1 },
            { ...good, question: question("evil.example.com") },
            { ...good, isResponse: false },
          ];
          socket.send("nonsense", port, host);
          for (const one of answers) socket.send(encodeMessage(one), port, host);
          socket.send(encodeMessage({ ...good, answers: [address(outside, [192, 0, 2, 2])] }), port, host);
        },
      },
    });
    closing.push(() => wrong.close());
    const { message } = await askOverUdp(await cluster([at]), query(outside), never);
    expect(message.answers).toEqual([address(outside, [192, 0, 2, 2])]);
  });

  test("says SERVFAIL when no resolver answers", async () => {
    const dead = { ip: loopbackAddress(), port: PORT };
    const { message } = await askOverUdp(await cluster([dead]), query(outside), never);
    expect(message).toMatchObject({ rcode: RCODE.SERVFAIL, recursionAvailable: true });
    const aliased = await askOverUdp(await cluster([]), query("outside.default.svc.cluster.local"), never);
    expect(aliased.message.rcode).toBe(RCODE.SERVFAIL);
  });

  test("asks again over TCP for what does not fit, and tells UDP clients to do the same", async () => {
    const many = Array.from({ length: 200 }, (_, last) => address(outside, [192, 0, 2, last]));
    const server = await upstream((asked, transport) =>
      transport === "udp" ? { truncated: true } : { ...asked, isResponse: true, answers: many },
    );
    const at = await cluster([server]);
    const short = await askOverUdp(at, query(outside), never);
    expect(short.message).toMatchObject({ truncated: true, rcode: 0 });
    expect(short.bytes.length).toBeLessThanOrEqual(512);
    const whole = await askOverTcp(at, query(outside), never);
    expect(whole.message.answers).toHaveLength(200);
  });

  test("refuses an address that is taken, and leaves nothing there", async () => {
    const at = await cluster();
    const start = () =>
      startClusterDns({
        source: dnsCluster(),
        sockets: loopbackSockets(),
        clock: systemClock,
        onError: fail,
        at,
      });
    expect(start()).rejects.toMatchObject({ code: "EADDRINUSE" });
    for (const close of closing.splice(0)) close();
    closing.push(await start());
  });
});

function header(additionals = 0): number[] {
  return [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, additionals];
}

async function rawMessagesOf(socket: Socket): Promise<Uint8Array[]> {
  const messages: Uint8Array[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  socket
    .on(
      "data",
      createFrameReader((message) => messages.push(message)),
    )
    .on("error", () => resolve())
    .on("end", () => resolve())
    .on("close", () => resolve());
  await promise;
  socket.destroy();
  return messages;
}

async function messagesOf(socket: Socket): Promise<DnsMessage[]> {
  return (await rawMessagesOf(socket)).map(decodeMessage);
}
