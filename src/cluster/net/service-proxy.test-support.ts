/** The relay between real pods, run by an engine inside its namespaces; prints what came of it as JSON. */
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import type { ServiceRoute } from "../../k8s/service-routes.ts";
import { systemClock } from "../../kernel/clock.ts";
import { openSandbox } from "../sandbox/open-sandbox.ts";
import { proxyRoute } from "./proxy-routes.ts";
import { answer, CLUSTER_IP, conformance, openShop, route } from "./service-conformance.test-support.ts";
import { createServiceProxy } from "./service-proxy.ts";

async function relay(folder: string): Promise<void> {
  const sandbox = await openSandbox({ stateDir: folder });
  const shop = await openShop(sandbox, folder);
  const proxy = createServiceProxy({ network: sandbox, clock: systemClock });
  const places = { nodeIP: sandbox.nodeIP, machineIPs: ["127.0.0.1"], onNode: true };
  const update = (routes: readonly ServiceRoute[]) =>
    proxy.update(routes.flatMap((each) => proxyRoute(each, places) ?? []));
  const found = await conformance({ update }, { shop, sandbox, folder });
  await update([]);
  const filesBefore = openFiles();
  const own = await ownOfRelay(update, shop, sandbox);
  proxy.close();
  proxy.close();
  const afterwards = await update([route(1, [shop.a])]);
  // Descriptors close as the event loop turns.
  while (openFiles() > filesBefore) await Bun.sleep(2);
  const afterClose = await answer(shop.client, { ip: CLUSTER_IP, port: 1 });
  await sandbox.close();
  console.log(JSON.stringify({ found, own: { ...own, afterwards, afterClose } }));
}

type Update = (routes: readonly ServiceRoute[]) => Promise<unknown>;

/** What the kernel would not do, and what comes in on this machine. */
async function ownOfRelay(
  update: Update,
  { client, a, b }: Awaited<ReturnType<typeof openShop>>,
  sandbox: Awaited<ReturnType<typeof openSandbox>>,
) {
  const at = { ip: CLUSTER_IP, port: 1 };
  // A pod is there, and nobody listens.
  await update([
    {
      ...route(1, [a]),
      endpoints: [
        { ip: b.ip, port: 9 },
        { ip: a.ip, port: 1 },
      ],
    },
    { ...route(2, [b]), endpoints: [{ ip: b.ip, port: 9 }] },
  ]);
  const skips = [await answer(client, at), await answer(client, at), await answer(client, at)];
  const nobodyAnswers = await answer(client, { ip: CLUSTER_IP, port: 2 });
  const silent = await dialSilence(update, client, a);
  const nodePort = 31_001;
  await update([route(1, [a], { nodePort }), route(53, [a], { nodePort, protocol: "UDP" })]);
  return {
    skips,
    nobodyAnswers,
    silent,
    nodePortFromHere: await hear("127.0.0.1", nodePort),
    nodePortByDatagrams: await hearDatagram("127.0.0.1", nodePort),
    nodePortFromPod: await answer(client, { ip: sandbox.nodeIP, port: nodePort }),
    twice: await update([route(1, [a]), { ...route(1, [b]), service: "test/other" }]),
    noNodePort: await hear("127.0.0.1", nodePort),
  };
}

/** Nobody has the address, and so nobody refuses: who dials it is let go by time, or by an update. */
async function dialSilence(
  update: Update,
  client: Awaited<ReturnType<typeof openShop>>["a"],
  a: { readonly ip: string },
) {
  const at = { ip: CLUSTER_IP, port: 3 };
  const endpoints = [
    { ip: "10.244.200.200", port: 1 },
    { ip: a.ip, port: 1 },
  ];
  await update([{ ...route(3, [a]), endpoints }]);
  const byTime = await answer(client, at);
  const waiting = answer(client, at);
  await update([route(3, [a], { targetPort: 1 })]);
  return [byTime, await waiting];
}

async function hear(host: string, port: number): Promise<string> {
  try {
    return await text(connect({ host, port }));
  } catch (error) {
    return String(error instanceof Error && "code" in error ? error.code : error);
  }
}

async function hearDatagram(host: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = await Bun.udpSocket({
    socket: { data: (_, message) => resolve(message.toString()) },
  });
  socket.send("this machine", port, host);
  const heard = await promise;
  socket.close();
  return heard;
}

function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

if (import.meta.main) await relay(process.argv[2] ?? "");
