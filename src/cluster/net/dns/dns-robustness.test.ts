/** Cluster DNS among those who send it anything but what it expects: it answers the others all the same. */
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "bun:test";
import type { Clock } from "../../../kernel/clock.ts";
import { systemClock } from "../../../kernel/clock.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { askOverTcp, askOverUdp, type ServerAddress, type UpstreamAnswer } from "./ask-server.ts";
import { decodeHeader, decodeMessage } from "./decode-message.ts";
import { dnsCluster } from "./dns-cluster.test-support.ts";
import { CLASS_IN, type Question, RCODE, TYPE } from "./dns-message.ts";
import { nameOf } from "./domain-name.ts";
import { encodeMessage } from "./encode-message.ts";
import { loopbackAddress, loopbackSockets } from "./loopback-sockets.test-support.ts";
import { startClusterDns } from "./start-cluster-dns.ts";

const never = new AbortController().signal;
const PORT = 5353;
const WEB = [10, 96, 7, 7];
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface Setting {
  readonly upstreams?: readonly ServerAddress[];
  readonly clock?: Clock;
  readonly ip?: string;
}

/** Fails the test when the server meets a bug. */
async function cluster({ upstreams = [], clock = systemClock, ip = loopbackAddress() }: Setting = {}) {
  const at = { ip, port: PORT };
  const close = await startClusterDns({
    source: dnsCluster(),
    sockets: loopbackSockets(),
    clock,
    onError: (error) => {
      throw error;
    },
    at,
    upstreams: () => upstreams,
  });
  closing.push(close);
  return at;
}

function query(name: string, type: keyof typeof TYPE = "A") {
  const question: Question = { name: nameOf(name), type: TYPE[type], class: CLASS_IN };
  return { question, edns: undefined, checkingDisabled: false };
}

const web = query("web.default.svc.cluster.local");

/** That the cluster's names are still known. */
async function knowsWeb(at: ServerAddress): Promise<void> {
  const { message } = await askOverUdp(at, web, never);
  expect(message.answers.map(({ value }) => value)).toEqual([
    { kind: "address", bytes: Uint8Array.from(WEB) },
  ]);
}

/** Sends each as it is and gives what comes back, as many as are waited for. */
async function exchange(at: ServerAddress, packets: readonly Uint8Array[], count: number) {
  const answers: Uint8Array[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data(_, data) {
        answers.push(Uint8Array.from(data));
        if (answers.length === count) resolve();
      },
    },
  });
  closing.push(() => socket.close());
  for (const packet of packets) socket.send(packet, at.port, at.ip);
  await promise;
  return answers;
}

/** A resolver that hears and never answers. */
async function silent() {
  const at = { ip: loopbackAddress(), port: PORT };
  let count = 0;
  let waiting = () => {};
  const socket = await Bun.udpSocket({
    hostname: at.ip,
    port: at.port,
    socket: {
      data() {
        count += 1;
        waiting();
      },
    },
  });
  closing.push(() => socket.close());
  /** Resolves when it has been asked so often. */
  const heard = (times: number) =>
    new Promise<void>((resolve) => {
      waiting = () => {
        if (count >= times) resolve();
      };
      waiting();
    });
  return { at, heard, count: () => count };
}

const HEADER = [0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const A_IN = [0, 1, 0, 1];
const label = (length: number) => [length, ...Array.from({ length }, () => 0x61)];

describe("what is no question", () => {
  const broken: readonly (readonly [what: string, bytes: readonly number[]])[] = [
    ["a name that points to itself", [...HEADER, 0xc0, 12, ...A_IN]],
    ["two names that point at each other", [...HEADER, 0xc0, 14, 0xc0, 12, ...A_IN]],
    ["a label that leads back to itself", [...HEADER, 1, 0x61, 0xc0, 12, ...A_IN]],
    [
      "a name of more than 255 bytes",
      [...HEADER, ...Array.from({ length: 5 }, () => label(63)).flat(), 0, ...A_IN],
    ],
    ["a label that ends behind the packet", [...HEADER, 63, 0x61]],
    ["65,535 questions", [0, 9, 1, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, ...A_IN]],
    ["65,535 records that are not there", [0, 9, 1, 0, 0, 1, 255, 255, 255, 255, 255, 255, 0, ...A_IN]],
    ["a header alone", HEADER],
    [
      "a thousand zeros behind the question",
      [...HEADER, 0, ...A_IN, ...Array.from({ length: 1000 }, () => 0)],
    ],
  ];

  test.each(broken)("%s is answered with FORMERR", async (_what, bytes) => {
    const at = await cluster();
    const [answer = new Uint8Array()] = await exchange(at, [Uint8Array.from(bytes)], 1);
    expect(decodeHeader(answer)).toMatchObject({ id: 9, isResponse: true, rcode: RCODE.FORMERR });
    expect(answer.length).toBeLessThanOrEqual(512);
    await knowsWeb(at);
  });

  test("what has not even a header, and answers, get no answer", async () => {
    const at = await cluster();
    const answerToUs = encodeMessage({
      ...decodeMessage(Uint8Array.from([...HEADER, 0, ...A_IN])),
      isResponse: true,
    });
    const packets = [new Uint8Array(), Uint8Array.of(1), Uint8Array.from(HEADER.slice(1)), answerToUs];
    const good = Uint8Array.from([...HEADER, 0, 0, 2, 0, 1]);
    const [first = new Uint8Array()] = await exchange(at, [...packets, good], 1);
    expect(decodeHeader(first)).toMatchObject({ id: 9, rcode: RCODE.SERVFAIL });
  });
});

describe("many questions", () => {
  test("at once are all answered, each with its own answer", async () => {
    const at = await cluster();
    const names = ["web", "db", "nobody", "inside"];
    const asked = Array.from({ length: 200 }, (_, index) =>
      askOverUdp(at, query(`${names[index % 4] ?? ""}.default.svc.cluster.local`), never),
    );
    const counts = (await Promise.all(asked)).map(
      ({ message }) => `${message.rcode} ${message.answers.length}`,
    );
    expect(counts).toEqual(counts.map((_, index) => ["0 1", "0 2", "3 0", "0 2"][index % 4] ?? ""));
  });

  test("to a resolver that is silent do not stand in the way of the cluster's names, and those beyond 256 fail at once", async () => {
    const upstream = await silent();
    const clock = new ManualClock();
    const at = await cluster({ upstreams: [upstream.at], clock });
    const ended: UpstreamAnswer[] = [];
    const ask = (index: number) =>
      askOverUdp(at, query(`host-${index}.example.com`), never).then((answer) => void ended.push(answer));
    const waiting = Array.from({ length: 256 }, (_, index) => ask(index));
    await upstream.heard(256);
    await ask(256);
    expect(ended.map(({ message }) => message.rcode)).toEqual([RCODE.SERVFAIL]);
    await knowsWeb(at);
    clock.advance(2_000);
    await upstream.heard(512);
    clock.advance(2_500);
    await Promise.all(waiting);
    expect(new Set(ended.map(({ message }) => message.rcode))).toEqual(new Set([RCODE.SERVFAIL]));
  });

  test("that are the same are one question to the resolver", async () => {
    const upstream = await silent();
    const clock = new ManualClock();
    const at = await cluster({ upstreams: [upstream.at], clock });
    const same = Array.from({ length: 20 }, () => askOverTcp(at, query("www.example.com"), never));
    await upstream.heard(1);
    // Another spelling is another question: its asker wants it back as it was.
    const other = askOverTcp(at, query("WWW.example.com"), never);
    await upstream.heard(2);
    await knowsWeb(at);
    expect(upstream.count()).toBe(2);
    clock.advance(2_000);
    await upstream.heard(4);
    clock.advance(2_500);
    const codes = (await Promise.all([...same, other])).map(({ message }) => message.rcode);
    expect(new Set(codes)).toEqual(new Set([RCODE.SERVFAIL]));
    expect(upstream.count()).toBe(4);
  });

  test("on connections that stay open leave room for who asks by datagram", async () => {
    const at = await cluster();
    const sockets = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const socket = connect({ host: at.ip, port: at.port });
        socket.on("error", () => {});
        const settled = Promise.withResolvers<void>();
        socket.once("connect", settled.resolve).once("close", settled.resolve);
        await settled.promise;
        return socket;
      }),
    );
    await knowsWeb(at);
    for (const socket of sockets) socket.destroy();
    expect((await askOverTcp(at, web, never)).message.answers).toHaveLength(1);
  });
});

describe("the rest of the world", () => {
  test("ends with SERVFAIL within 4.5 seconds when its resolvers are silent, however many there are", async () => {
    const [first, second] = [await silent(), await silent()];
    const clock = new ManualClock();
    const at = await cluster({ upstreams: [first.at, second.at], clock });
    const answer = askOverUdp(at, query("www.example.com"), never);
    await first.heard(1);
    clock.advance(2_000);
    await second.heard(1);
    clock.advance(2_000);
    await first.heard(2);
    clock.advance(500);
    expect((await answer).message.rcode).toBe(RCODE.SERVFAIL);
    expect([first.count(), second.count()]).toEqual([2, 1]);
    expect(clock.pending).toBe(0);
  });

  test("is asked once by who is asked by his own resolver, and comes to an end", async () => {
    const clock = new ManualClock();
    const ip = loopbackAddress();
    // The resolver asks cluster DNS, which asks the resolver.
    const passed: Uint8Array[] = [];
    const middle = await Bun.udpSocket({
      hostname: loopbackAddress(),
      port: PORT,
      socket: {
        data(socket, data) {
          if (decodeHeader(data)?.isResponse === true) return;
          passed.push(Uint8Array.from(data));
          socket.send(Uint8Array.from(data), PORT, ip);
        },
      },
    });
    closing.push(() => middle.close());
    const { hostname } = middle;
    const at = await cluster({ upstreams: [{ ip: hostname, port: PORT }], clock, ip });
    const answer = askOverUdp(at, query("www.example.com"), never);
    const rounds = async (count: number) => {
      while (passed.length < count) await knowsWeb(at);
    };
    await rounds(1);
    clock.advance(2_000);
    await rounds(2);
    clock.advance(2_500);
    expect((await answer).message.rcode).toBe(RCODE.SERVFAIL);
    expect(passed).toHaveLength(2);
    await knowsWeb(at);
  });
});

describe("for how long an answer holds", () => {
  test.each<[name: string, type: keyof typeof TYPE]>([
    ["web.default.svc.cluster.local", "A"],
    ["_http._tcp.web.default.svc.cluster.local", "SRV"],
    ["inside.default.svc.cluster.local", "A"],
    ["7.7.96.10.in-addr.arpa", "PTR"],
  ])("%s %s: 5 seconds, as pods come and go", async (name, type) => {
    const { message } = await askOverUdp(await cluster(), query(name, type), never);
    expect(message.answers.length).toBeGreaterThan(0);
    const ttls = [...message.answers, ...message.additionals].map(({ ttl }) => ttl);
    expect(new Set(ttls)).toEqual(new Set([5]));
  });

  test.each<[what: string, name: string, type: keyof typeof TYPE, rcode: number]>([
    ["nothing of the name", "nobody.default.svc.cluster.local", "A", RCODE.NXDOMAIN],
    ["nothing of the type", "web.default.svc.cluster.local", "AAAA", RCODE.NOERROR],
  ])("%s: as long as the zone says, 5 seconds", async (_what, name, type, rcode) => {
    const { message } = await askOverUdp(await cluster(), query(name, type), never);
    expect([message.rcode, message.answers]).toEqual([rcode, []]);
    expect(message.authorities).toMatchObject([{ type: TYPE.SOA, ttl: 5, value: { minimum: 5 } }]);
  });
});
