/**
 * Pods reach another machine: an engine in a network namespace that stands for this machine, with a cable to one that stands
 * for the internet. Prints what came of it as JSON.
 */
import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { systemClock } from "../../../kernel/clock.ts";
import { parseIpv4 } from "../../../lib/ipv4.ts";
import { loadLauncher } from "../../sandbox/launcher.ts";
import * as linux from "../../sandbox/linux-constants.ts";
import {
  addAddress,
  addBridge,
  addDefaultRoute,
  addLocalRange,
  addVeth,
  type NetlinkRequest,
  setLinkUp,
} from "../../sandbox/netlink.ts";
import { DEFAULT_RANGES } from "../../sandbox/network.ts";
import { openSandbox } from "../../sandbox/open-sandbox.ts";
import { podSpec } from "../../sandbox/open-sandbox.test-support.ts";
import { Program } from "../../sandbox/program.ts";
import type { PodSandbox, Sandbox } from "../../sandbox/sandbox.ts";
import { answer, flood, say, SERVER, startAsker } from "../service-conformance.test-support.ts";
import { createServiceProxy } from "../service-proxy.ts";
import { startEgress } from "./egress.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;

const MACHINE = "192.0.2.1";
const INTERNET = "192.0.2.2";
/** No interface of the machine has it, and it is the machine's own. */
const LOCAL_ROUTE = "198.51.100.7";
/** The second address of an interface without a cable: the kernel takes the first for a client of its. */
const WITHOUT_CABLE = ["203.0.113.1", "203.0.113.2"] as const;
const METADATA = "169.254.169.254";
const never = new AbortController().signal;

/** In the network namespace that stands for this machine. */
async function machine(folder: string): Promise<void> {
  const server = ["unshare", "--net", process.execPath, "-e", SERVER, "internet"];
  const internet = Bun.spawn(["setpriv", "--pdeathsig", "KILL", ...server], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  // Its servers listen on every address, also on those that are still to come.
  await internet.stdout.getReader().read();
  connectToInternet(internet.pid);
  const own = createServer((socket) => socket.end("this machine"));
  await new Promise<void>((resolve) => own.listen(80, "0.0.0.0", resolve));
  const sandbox = await openSandbox({ stateDir: folder });
  const found = await egress(sandbox, folder);
  await sandbox.close();
  own.close();
  internet.kill();
  await internet.exited;
  console.log(JSON.stringify(found));
}

async function egress(sandbox: Sandbox, folder: string): Promise<unknown> {
  const { nodeIP } = sandbox;
  const { filter, limits } = await sandbox.packetFilter;
  if (filter === undefined) throw new Error(limits.join("\n"));
  const pod = await sandbox.createPod(podSpec("pod"));
  const ask = (ip: string, port = 80) => answer(pod, { ip, port });
  const without = await ask(INTERNET, 1);
  let rules = "";
  const close = await startEgress({
    sockets: sandbox,
    filter: {
      apply: (script) => filter.apply((rules = script)),
      openNode: () => filter.openNode(),
      originalDestination: (fd) => filter.originalDestination(fd),
    },
    nodeIP,
    cluster: [DEFAULT_RANGES.pods, DEFAULT_RANGES.services],
    clock: systemClock,
  });
  const ownPort = Number(/redirect to :(\d+)/.exec(rules)?.[1]);
  const question = await startAsker(pod, folder, { ip: INTERNET, port: 53 });
  const found = {
    without,
    reached: await ask(INTERNET, 1),
    halfClose: await say(pod, { ip: INTERNET, port: 7 }, "hello"),
    flood: await flood(pod, { water: { ip: INTERNET, port: 19 }, sent: { ip: INTERNET, port: 20 } }),
    many: await many(pod),
    nobodyListens: await ask(INTERNET, 9),
    nobodyThere: await ask("192.0.2.77"),
    thisMachine: await ask(MACHINE),
    thisMachineByRoute: await ask(LOCAL_ROUTE),
    thisMachineWithoutCable: await ask(WITHOUT_CABLE[1]),
    metadata: await ask(METADATA),
    loopback: await ask("127.0.0.1"),
    enginesOwnPort: await ask(nodeIP, ownPort),
    noPod: await ask("10.96.1.1"),
    fromNode: await answer(sandbox, { ip: INTERNET, port: 1 }),
    fromNodeToThisMachine: await answer(sandbox, { ip: MACHINE, port: 80 }),
    fromNodeToItself: await answer(sandbox, { ip: "127.0.0.1", port: 80 }),
    datagrams: await question("hello"),
    serviceAbroad: await serviceAbroad(sandbox, pod),
    goesAway: await goesAway(pod),
    crowd: await crowd(sandbox, pod),
  };
  const open = await pod.connect({ ip: INTERNET, port: 8 }, never);
  await once(open, "data");
  const ended = once(open, "error").catch((error: unknown) => [error]);
  close();
  close();
  const [error] = (await ended) as [{ code?: string }];
  return { ...found, afterClose: await ask(INTERNET, 1), openAfterClose: error.code };
}

/** A Service without pods, whose endpoint somebody has written: the relay's connections leave as pods' do. */
async function serviceAbroad(sandbox: Sandbox, pod: PodSandbox): Promise<string> {
  const proxy = createServiceProxy({ network: sandbox, clock: systemClock });
  const at = { ip: "10.96.9.9", port: 80 };
  await proxy.update([
    {
      name: "test/abroad:80/TCP",
      protocol: "TCP",
      addresses: [{ place: "node", ...at }],
      endpoints: [{ ip: INTERNET, port: 1 }],
    },
  ]);
  const heard = await answer(pod, at);
  proxy.close();
  return heard;
}

async function many(pod: PodSandbox): Promise<string[]> {
  const answers = await Promise.all(
    Array.from({ length: 200 }, () => answer(pod, { ip: INTERNET, port: 1 })),
  );
  return [...new Set(answers)];
}

/** A client that hangs up is hung up on at the other end: no connection of the engine is left. */
async function goesAway(pod: PodSandbox): Promise<string> {
  const socket = (await pod.connect({ ip: INTERNET, port: 8 }, never)) as Socket;
  await once(socket, "data");
  socket.resetAndDestroy();
  while (outgoing() > 0) await Bun.sleep(2);
  return "gone";
}

/** One pod has its share of connections, and leaves others theirs. */
async function crowd(sandbox: Sandbox, pod: PodSandbox) {
  const other = await sandbox.createPod(podSpec("other"));
  const greeted = async () => {
    const socket = await pod.connect({ ip: INTERNET, port: 8 }, never);
    await once(socket, "data");
    return socket;
  };
  const sockets: Duplex[] = [];
  for (let count = 0; count < 1024; count++) sockets.push(await greeted());
  const oneMore = await answer(pod, { ip: INTERNET, port: 1 });
  const ofAnother = await answer(other, { ip: INTERNET, port: 1 });
  for (const socket of sockets) socket.destroy();
  let later = oneMore;
  while (later === oneMore) later = await answer(pod, { ip: INTERNET, port: 1 });
  return { oneMore, ofAnother, later };
}

/** Established connections of this machine to the internet. */
function outgoing(): number {
  const text = Bun.spawnSync(["cat", "/proc/net/tcp"]).stdout.toString();
  return text.split("\n").filter((line) => / 020200C0:\w+ 01 /.test(line)).length;
}

function connectToInternet(pid: number): void {
  const bridge = { name: "out", index: 2000, mac: [2, 0, 0, 0, 0, 1] } as const;
  const dark = { name: "dark", index: 2002, mac: [2, 0, 0, 0, 0, 4] } as const;
  const port = { name: "cable", index: 2001, mac: [2, 0, 0, 0, 0, 2] } as const;
  const eth0 = { name: "eth0", index: 2000, mac: [2, 0, 0, 0, 0, 3] } as const;
  const netns = `/proc/${pid}/ns/net`;
  run(
    undefined,
    [
      setLinkUp(1),
      addBridge(bridge),
      addAddress({ link: bridge.index, address: numberOf(MACHINE), prefixLength: 24 }),
      addAddress({ link: bridge.index, address: numberOf(METADATA), prefixLength: 32 }),
      addBridge(dark),
      ...WITHOUT_CABLE.map((ip) => addAddress({ link: dark.index, address: numberOf(ip), prefixLength: 24 })),
      setLinkUp(dark.index),
      addLocalRange({ link: 1, address: numberOf("198.51.100.0"), prefixLength: 24 }),
      addVeth({ port, master: bridge.index, peer: eth0, netnsFd: 0 }),
      // As most machines have one; without it, nothing else would be tried.
      addDefaultRoute({ link: bridge.index, gateway: numberOf(INTERNET) }),
    ],
    netns,
  );
  run(netns, [
    setLinkUp(1),
    addAddress({ link: eth0.index, address: numberOf(INTERNET), prefixLength: 24 }),
    setLinkUp(eth0.index),
  ]);
}

/** Makes the requests in a network namespace, this one by default; `standardInput` is another one, open as descriptor 0. */
function run(
  netns: string | undefined,
  requests: readonly NetlinkRequest[],
  standardInput = "/dev/null",
): void {
  const program = new Program();
  const [socket, input, namespace] = [program.slot(), program.slot(), program.slot()];
  const flags = linux.O_RDONLY | linux.O_CLOEXEC;
  program
    .call("openat", [linux.AT_FDCWD, standardInput, flags, 0], { save: input })
    .call("dup3", [input, 0, 0]);
  if (netns !== undefined)
    program
      .call("openat", [linux.AT_FDCWD, netns, flags, 0], { save: namespace })
      .call("setns", [namespace, linux.CLONE_NEWNET]);
  program.call("socket", [AF_NETLINK, SOCK_RAW, 0], { save: socket });
  for (const { what, bytes } of requests)
    program.call("netlink", [socket, bytes, bytes.length], { name: what });
  loadLauncher().run(program);
}

function numberOf(ip: string): number {
  return parseIpv4(ip) ?? 0;
}

if (import.meta.main) await machine(process.argv[2] ?? "");
