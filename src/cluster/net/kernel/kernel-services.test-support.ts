/** The kernel carries traffic between real pods, told by an engine inside its namespaces; prints what came of it as JSON. */
import { createServer } from "node:net";
import { openSandbox } from "../../sandbox/open-sandbox.ts";
import { messageOf } from "../../../kernel/problem.ts";
import { openFiles } from "../../../testing/open-files.ts";
import type { PodSandbox } from "../../sandbox/sandbox.ts";
import { DEFAULT_RANGES } from "../../sandbox/network.ts";
import {
  answer,
  CLUSTER_IP,
  conformance,
  openShop,
  route,
  startAsker,
} from "../service-conformance.test-support.ts";
import type { PacketFilter } from "../packet-filter.ts";
import { KernelServices } from "./kernel-services.ts";

async function kernel(folder: string): Promise<void> {
  const sandbox = await openSandbox({ stateDir: folder });
  const { filter, limits } = await sandbox.packetFilter;
  if (filter === undefined) throw new Error(limits.join("\n"));
  const shop = await openShop(sandbox, folder);
  const refused: string[] = [];
  const apply = (script: string) =>
    filter.apply(script).catch((error: unknown) => {
      refused.push(script);
      throw error;
    });
  const services = new KernelServices({
    filter: { apply, forget: (mark) => filter.forget(mark) },
    ...DEFAULT_RANGES,
    nodeIP: sandbox.nodeIP,
  });
  const found = await conformance(services, { shop, sandbox, folder });
  const { client, a, b } = shop;
  const at = { ip: CLUSTER_IP, port: 1 };
  await services.update([]);
  const refusedBefore = [...refused];
  const udp = { protocol: "UDP", portName: "dns" } as const;
  const ask = await startAsker(client, folder, { ip: "10.96.7.8", port: 53 });
  const beforeAnybody = await ask("1");
  await services.update([{ ...route(53, [b], udp), clusterIP: "10.96.7.8" }, route(1, [a])]);
  const onceThereIsOne = await ask("2");
  // Somebody else has been at the table.
  await filter.apply("delete table ip pillion-services\n");
  await services.update([route(1, [b])]);
  const nodePort = { ip: sandbox.nodeIP, port: 31_001 };
  await services.update([route(1, [a], { nodePort: nodePort.port })]);
  const nodePorts = [
    await answer(client, nodePort),
    await answer(a, nodePort),
    await answer(sandbox, nodePort),
  ];
  await services.update([route(1, [b])]);
  const own = {
    nonsense: await filter.apply("add nonsense\n").catch((error: unknown) => messageOf(error)),
    halfOfIt: await halfOfIt(filter),
    nodePorts,
    noNodePort: await answer(client, nodePort),
    refused: refusedBefore,
    mendedBecause: refused.length,
    beforeAnybody,
    onceThereIsOne,
    mended: await answer(client, at),
    podsDirectly: await answer(client, { ip: a.ip, port: 1 }),
    ownSocket: await ownSocket(sandbox, client),
    manyAtOnce: await manyAtOnce(services, client, b),
    leftOpen: leftOpen(),
  };
  await sandbox.close();
  console.log(JSON.stringify({ found, own }));
}

/** An address that the engine itself serves, as it does cluster DNS. */
async function ownSocket(
  sandbox: Awaited<ReturnType<typeof openSandbox>>,
  client: PodSandbox,
): Promise<string> {
  const fd = sandbox.listenTcp({ ip: "10.96.0.10", port: 53 });
  const server = createServer((socket) => socket.end("engine"));
  await new Promise<void>((resolve) => server.listen({ fd }, resolve));
  const heard = await answer(client, { ip: "10.96.0.10", port: 53 });
  server.close();
  return heard;
}

/** A script whose last line fails has done nothing. */
async function halfOfIt(filter: PacketFilter): Promise<string> {
  await filter.apply("add table ip half\ndelete chain ip half none\n").catch(() => undefined);
  return await filter.apply("delete table ip half\n").then(
    () => "done",
    () => "nothing",
  );
}

/** Of updates that come while one is under way, the last one counts. */
async function manyAtOnce(
  services: KernelServices,
  client: PodSandbox,
  last: { readonly ip: string },
): Promise<string> {
  const updates = Array.from({ length: 50 }, (_, port) => services.update([route(port + 100, [last])]));
  updates.push(services.update([route(1, [last])]));
  await Promise.all(updates);
  const found = await answer(client, { ip: CLUSTER_IP, port: 100 });
  return `${found} ${await answer(client, { ip: CLUSTER_IP, port: 1 })}`;
}

/** Scripts that have been read. */
function leftOpen(): string[] {
  return [...openFiles()].filter((file) => file.includes("memfd:"));
}

if (import.meta.main) await kernel(process.argv[2] ?? "");
