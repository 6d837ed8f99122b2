/** What traffic to Services must do, whoever carries it: the relay or the kernel. Real pods; answers what it saw. */
import { existsSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import type { ServiceRoute } from "../../k8s/service-routes.ts";
import { BUN_INSIDE, containerSpec, podSpec } from "../sandbox/open-sandbox.test-support.ts";
import type { Address, PodSandbox, Sandbox } from "../sandbox/sandbox.ts";

/** An implementation of cluster IPs. */
export interface ClusterIpTraffic {
  /** Once it has resolved, new connections go by these routes. */
  update(routes: readonly ServiceRoute[]): Promise<unknown>;
}

/** Who it is (1); an echo after the client's end (7), with a greeting (8), of datagrams as well (53); a flood (19), and how far it came (20). */
export const SERVER = `
  const net = require("node:net");
  const name = process.argv[1];
  const serve = (port, onSocket) =>
    new Promise((done) => net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      onSocket(socket);
    }).listen(port, "0.0.0.0", done));
  await serve(1, (socket) => socket.end(name));
  await serve(7, (socket) => {
    let got = "";
    socket.on("data", (data) => (got += data)).on("end", () => socket.end(name + " heard " + got));
  });
  await serve(8, (socket) => {
    let got = "";
    socket.write(name + " greets");
    socket.on("data", (data) => (got += data)).on("end", () => socket.end(", heard " + got));
  });
  let sent = 0;
  await serve(19, (socket) => {
    const block = Buffer.alloc(65536);
    const pump = () => { while (sent < 64e6) { sent += block.length; if (!socket.write(block)) return socket.once("drain", pump); } socket.end(); };
    pump();
  });
  await serve(20, (socket) => socket.end(String(sent)));
  await Bun.udpSocket({ hostname: "0.0.0.0", port: 53, socket: {
    data: (socket, message, port, ip) => socket.send(name + " heard " + message, port, ip),
  } });
  console.log("listening");`;

/** Asks by datagrams, one socket for all of them, and says what it hears. A line on standard input is a question. */
const ASKER = `
  const [ip, port] = process.argv.slice(1);
  const dgram = require("node:dgram").createSocket("udp4");
  dgram.on("message", (message) => console.log("answer " + message));
  dgram.on("error", (error) => console.log("answer " + error.code));
  await new Promise((done) => dgram.connect(Number(port), ip, done));
  for await (const line of console) dgram.send(line);`;

export const CLUSTER_IP = "10.96.7.7";
const never = new AbortController().signal;

/** One of its ports, and pods that serve it at `targetPort`. */
export function route(
  port: number,
  pods: readonly { readonly ip: string }[],
  more: Partial<ServiceRoute> & { readonly targetPort?: number } = {},
): ServiceRoute {
  const { targetPort = port, ...rest } = more;
  return {
    service: "test/shop",
    portName: `p${port}`,
    protocol: "TCP",
    clusterIP: CLUSTER_IP,
    port,
    endpoints: pods.map(({ ip }) => ({ ip, port: targetPort })),
    ...rest,
  };
}

export interface Shop {
  readonly client: PodSandbox;
  readonly a: PodSandbox;
  readonly b: PodSandbox;
  readonly c: PodSandbox;
}

export async function openShop(sandbox: Sandbox, folder: string): Promise<Shop> {
  const server = async (name: string) => {
    const pod = await sandbox.createPod(podSpec(name));
    await pod.startContainer(containerSpec(folder, name, [BUN_INSIDE, "-e", SERVER, name]));
    await lineIn(join(folder, `${name}.log`), "listening");
    return pod;
  };
  const [a, b, c] = await Promise.all([server("a"), server("b"), server("c")]);
  return { client: await sandbox.createPod(podSpec("client")), a, b, c };
}

/** What everyone who carries traffic to cluster IPs must be seen to do. */
export const CONFORMING = {
  everyEndpoint: ["a", "b", "c"],
  halfClose: "a heard hello",
  hairpin: "a",
  fromNode: "a",
  otherPort: "a",
  notAPort: "ECONNREFUSED",
  notAService: "ECONNREFUSED",
  flood: { isHeldBack: true, isComplete: true },
  staysWithOne: 1,
  othersToo: true,
  movedOn: ["b"],
  goesOn: "a greets, heard before and after",
  gone: "ECONNREFUSED",
  back: "c",
  datagrams: ["a heard 1", "a heard 2", "b heard 3"],
  nobodyForDatagrams: "ECONNREFUSED",
};

export async function conformance(
  traffic: ClusterIpTraffic,
  { shop, sandbox, folder }: { readonly shop: Shop; readonly sandbox: Sandbox; readonly folder: string },
): Promise<Record<string, unknown>> {
  const { client, a, b, c } = shop;
  const names = async (port: number, times: number, from: PodSandbox = client) => {
    const found = new Set<string>();
    for (let time = 0; time < times; time++) found.add(await answer(from, { ip: CLUSTER_IP, port }));
    return [...found].toSorted();
  };
  await traffic.update([route(1, [a, b, c])]);
  const everyEndpoint = await names(1, 40);

  await traffic.update([route(7, [a]), route(1, [a]), route(8080, [a], { targetPort: 1 }), route(19, [a])]);
  const at = (port: number) => ({ ip: CLUSTER_IP, port });
  const found = {
    everyEndpoint,
    halfClose: await say(client, at(7), "hello"),
    hairpin: await answer(a, at(1)),
    fromNode: await answer(sandbox, at(1)),
    otherPort: await answer(client, at(8080)),
    notAPort: await answer(client, at(81)),
    notAService: await answer(client, { ip: "10.96.200.200", port: 1 }),
    flood: await flood(client, { water: at(19), sent: { ip: a.ip, port: 20 } }),
  };

  // By chance four clients of one Service meet the same endpoint now and then, but not those of ten.
  const ports = Array.from({ length: 10 }, (_, index) => 101 + index);
  const affinity = { affinitySeconds: 10_800, targetPort: 1 };
  await traffic.update(ports.map((port) => route(port, [a, b, c], affinity)));
  const staysWithOne = (await names(101, 15)).length;
  const firsts = await Promise.all(
    ports.map(async (port) => {
      const ofClients = await Promise.all([client, a, b, c].map((from) => names(port, 2, from)));
      return new Set(ofClients.map(String)).size;
    }),
  );

  await traffic.update([route(7, [a], { targetPort: 8 })]);
  const open = await client.connect(at(7), never);
  open.write("before ");
  // Who has heard nothing may still be on the way.
  const [greeting] = (await once(open, "data")) as [Uint8Array];
  await traffic.update([route(7, [b], { targetPort: 1 })]);
  const movedOn = await names(7, 20);
  open.end("and after");
  const goesOn = `${Buffer.from(greeting).toString()}${await text(open)}`;
  await traffic.update([route(7, [])]);
  const gone = await answer(client, at(7));
  await traffic.update([route(7, [c], { targetPort: 1 })]);
  const back = await answer(client, at(7));
  const datagrams = await askByDatagrams(traffic, shop, folder);
  return {
    ...found,
    staysWithOne,
    othersToo: firsts.some((size) => size > 1),
    movedOn,
    goesOn,
    gone,
    back,
    ...datagrams,
  };
}

async function askByDatagrams(traffic: ClusterIpTraffic, { client, a, b }: Shop, folder: string) {
  const udp = { protocol: "UDP", portName: "dns" } as const;
  await traffic.update([route(53, [a], udp)]);
  const ask = await startAsker(client, folder, { ip: CLUSTER_IP, port: 53 });
  const datagrams = [await ask("1"), await ask("2")];
  await traffic.update([route(53, [b], udp)]);
  datagrams.push(await ask("3"));
  await traffic.update([route(53, [], udp)]);
  return { datagrams, nobodyForDatagrams: await ask("4") };
}

/** A process in a pod that sends datagrams to one address. Each question waits for its answer. */
export async function startAsker(
  from: PodSandbox,
  folder: string,
  { ip, port }: Address,
): Promise<(question: string) => Promise<string>> {
  const name = `asker-${ip}-${port}-${from.uid}`;
  const log = join(folder, `${name}.log`);
  const asker = await from.startContainer({
    ...containerSpec(folder, name, [BUN_INSIDE, "-e", ASKER, ip, String(port)]),
    stdin: true,
  });
  const attached = asker.attach({ stdin: true, stdout: false, stderr: false });
  let heard = 0;
  return async (question) => {
    await attached.stdin?.write(Buffer.from(`${question}\n`));
    heard += 1;
    return await lineIn(log, "answer ", heard);
  };
}

export async function answer(from: Sandbox | PodSandbox, to: Address): Promise<string> {
  try {
    return await text(await from.connect(to, never));
  } catch (error) {
    return String(error instanceof Error && "code" in error ? error.code : error);
  }
}

/** The client ends its side first; the answer still comes. */
export async function say(from: Sandbox | PodSandbox, to: Address, words: string): Promise<string> {
  const socket = await from.connect(to, never);
  socket.end(words);
  return text(socket);
}

/** A flood that nobody reads stops at its source; once read, it is complete. `sent` is who says how far it came. */
export async function flood(from: PodSandbox, at: { readonly water: Address; readonly sent: Address }) {
  const water: Duplex = await from.connect(at.water, never);
  const asked = async () => Number(await answer(from, at.sent));
  let before = -1;
  // Until two questions in a row have the same answer.
  for (let sent = await asked(); sent !== before; sent = await asked()) {
    before = sent;
    await Bun.sleep(50);
  }
  let bytes = 0;
  for await (const chunk of water) bytes += (chunk as Uint8Array).length;
  water.end();
  return { isHeldBack: before < 48e6, isComplete: bytes >= 64e6 };
}

/** The `count`th line that has this in it, from there on; waits for it. */
async function lineIn(log: string, words: string, count = 1): Promise<string> {
  for (;;) {
    const lines = existsSync(log) ? readFileSync(log, "utf8").split("\n") : [];
    const found = lines.filter((line) => line.includes(words))[count - 1];
    if (found !== undefined) return found.slice(found.indexOf(words) + words.length);
    await Bun.sleep(2);
  }
}
