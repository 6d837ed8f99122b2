import { closeSync, readdirSync } from "node:fs";
import { ptr } from "bun:ffi";
import { afterEach, describe, expect, test } from "bun:test";
import { openLibc } from "../../lib/libc.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { ipBytes } from "./dns/ip-bytes.ts";
import { loopbackAddress } from "./dns/loopback-sockets.test-support.ts";
import type { Address } from "./service-network.ts";
import { openUdpRoute } from "./udp-service.ts";

const PORT = 5300;
const MAX_SESSIONS = 1024;
const IDLE_MS = 120_000;
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 0o2_004_002;

/** As the sandbox makes it in the node's namespace. */
function connectUdp({ ip, port }: Address): number {
  const libc = openLibc({
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  });
  if (libc === null) throw new Error("no C library");
  const fd = libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0);
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set(ipBytes(ip) ?? [], 4);
  if (libc.connect(fd, ptr(address), 16) === 0) return fd;
  closeSync(fd);
  throw new Error(`connect ${ip}:${port}`);
}

/** Answers with the port that it was asked from, which tells flows apart. */
async function echo() {
  const at = { ip: loopbackAddress(), port: PORT };
  const socket = await Bun.udpSocket({
    hostname: at.ip,
    port: at.port,
    socket: {
      data(self, message, port, ip) {
        self.send(message.length > 100 ? message : `${message.toString()} from ${port}`, port, ip);
      },
    },
  });
  const close = () => socket.close();
  closing.push(close);
  return { at, close, send: (text: string, port: number) => socket.send(text, port, "127.0.0.1") };
}

async function service(endpoints: readonly Address[]) {
  const clock = new ManualClock();
  const route = openUdpRoute({ network: { connectUdp }, clock });
  route.update({ endpoints });
  const at = { ip: loopbackAddress(), port: PORT };
  const listener = await route.listen(at);
  closing.push(() => listener.destroy());
  return { clock, route, listener, at };
}

/** A client with a socket of its own. `ask` resolves with the next datagram that comes. */
async function client(to: Address) {
  const unread: Buffer[] = [];
  let waiting: ((message: Buffer) => void) | undefined;
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data(_, message) {
        const copy = Buffer.from(message);
        if (waiting === undefined) unread.push(copy);
        else waiting(copy);
        waiting = undefined;
      },
    },
  });
  const close = () => socket.close();
  closing.push(close);
  const next = (): Promise<Buffer> => {
    const known = unread.shift();
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => {
      waiting = resolve;
    });
  };
  const say = (message: string | Uint8Array) => socket.send(message, to.port, to.ip);
  const ask = (message: string | Uint8Array) => {
    say(message);
    return next();
  };
  /** The port from which the endpoint hears this client. */
  const flow = async () => Number((await ask("hi")).toString().replace("hi from ", ""));
  return { say, ask, next, flow, close, unread };
}

const openFiles = () => readdirSync("/proc/self/fd").length;

describe("datagrams to a Service", () => {
  test("of one client are one flow, of two clients two", async () => {
    const server = await echo();
    const { at } = await service([server.at]);
    const [one, other] = [await client(at), await client(at)];
    const flow = await one.flow();
    expect(await one.flow()).toBe(flow);
    expect(await other.flow()).not.toBe(flow);
  });

  test("pass as they are: empty ones, and as large as they get", async () => {
    const server = await echo();
    const { at } = await service([server.at]);
    const one = await client(at);
    expect((await one.ask(new Uint8Array())).toString()).toMatch(/^ from \d+$/);
    const large = Buffer.alloc(60_000, "0123456789");
    expect(Buffer.compare(await one.ask(large), large)).toBe(0);
  });

  test("find another endpoint where nobody listens at the first", async () => {
    const [gone, server] = [await echo(), await echo()];
    gone.close();
    const { at } = await service([gone.at, server.at]);
    const one = await client(at);
    // The first is lost, as datagrams are: the kernel says so when it has been sent.
    one.say("lost");
    const asked = await client(server.at);
    while (one.unread.length === 0) {
      one.say("again");
      await asked.ask("round");
    }
    expect((await one.next()).toString()).toStartWith("again from ");
  });

  test("go elsewhere once their endpoint has gone, and nowhere without one", async () => {
    const [first, second] = [await echo(), await echo()];
    const { at, route, listener } = await service([first.at]);
    const one = await client(at);
    const flow = await one.flow();
    route.update({ endpoints: [second.at] });
    listener.recheck();
    expect(await one.flow()).not.toBe(flow);
    const before = openFiles();
    route.update({ endpoints: [] });
    listener.recheck();
    one.say("nobody");
    await (await client(first.at)).ask("round");
    expect(openFiles()).toBeLessThanOrEqual(before + 1);
  });
});

describe("flows", () => {
  test("end when they have been silent for two minutes, both ways", async () => {
    const server = await echo();
    const { clock, at } = await service([server.at]);
    const [silent, asking, listening] = [await client(at), await client(at), await client(at)];
    const flows = [await silent.flow(), await asking.flow(), await listening.flow()] as const;
    clock.advance(IDLE_MS / 2);
    expect(await asking.flow()).toBe(flows[1]);
    server.send("news", flows[2]);
    expect((await listening.next()).toString()).toBe("news");
    clock.advance(IDLE_MS / 2 + 10_000);
    expect([await asking.flow(), await listening.flow()]).toEqual([flows[1], flows[2]]);
    expect(await silent.flow()).not.toBe(flows[0]);
    const before = openFiles();
    clock.advance(2 * IDLE_MS);
    expect(openFiles()).toBe(before - 3);
  });

  test(`are ${MAX_SESSIONS} at most: the one that was silent longest makes room`, async () => {
    const server = await echo();
    const { at, listener } = await service([server.at]);
    const before = openFiles();
    const [first, second, told] = [await client(at), await client(at), await client(at)];
    const flows = [await first.flow(), await second.flow(), await told.flow()];
    for (let count = 3; count < MAX_SESSIONS; count++) {
      const passing = await client(at);
      await passing.flow();
      passing.close();
    }
    // All are there; the first has just said something, and the third was told something.
    expect(await first.flow()).toBe(flows[0] ?? 0);
    server.send("news", flows[2] ?? 0);
    expect((await told.next()).toString()).toBe("news");
    for (let count = 0; count < 100; count++) {
      const more = await client(at);
      await more.flow();
      more.close();
    }
    expect(await first.flow()).toBe(flows[0] ?? 0);
    expect(await told.flow()).toBe(flows[2] ?? 0);
    expect(await second.flow()).not.toBe(flows[1] ?? 0);
    expect(openFiles()).toBeLessThanOrEqual(before + 3 + MAX_SESSIONS);
    listener.close();
    expect(openFiles()).toBeLessThanOrEqual(before + 3);
  }, 20_000);

  test("leave nothing behind when the Service goes", async () => {
    const server = await echo();
    const before = openFiles();
    const { clock, at, listener } = await service([server.at]);
    const one = await client(at);
    await one.flow();
    one.close();
    listener.close();
    listener.destroy();
    expect(openFiles()).toBe(before);
    expect(clock.pending).toBe(0);
  });
});
