/** Cluster DNS asked by a real pod, run by an engine inside its namespaces; prints what the pod heard as JSON. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../kernel/clock.ts";
import { BUN_INSIDE, containerSpec, podSpec } from "../../sandbox/open-sandbox.test-support.ts";
import { openSandbox } from "../../sandbox/open-sandbox.ts";
import { decodeMessage } from "./decode-message.ts";
import { dnsCluster } from "./dns-cluster.test-support.ts";
import { CLASS_IN, type DnsMessage, RCODE, type ResourceRecord, TYPE } from "./dns-message.ts";
import { encodeMessage } from "./encode-message.ts";
import { loopbackAddress, loopbackSockets } from "./loopback-sockets.test-support.ts";
import { serveDns } from "./serve-dns.ts";
import { startClusterDns } from "./start-cluster-dns.ts";

/** Of one name: more than any datagram carries. */
const MANY = 300;

/** Asks as programs in pods do and prints the answers, or their codes. */
const ASKER = `
  const { Resolver } = require("node:dns").promises;
  const resolver = new Resolver();
  resolver.setServers(["10.96.0.10"]);
  const ask = (name) => resolver.resolve4(name).then((all) => all.length > 1 ? all.length : all[0], (error) => error.code);
  const found = {};
  for (const name of ["web.default.svc.cluster.local", "www.example.com", "many.example.com", "nobody.example.com", "outside.default.svc.cluster.local"])
    found[name] = await ask(name);
  console.log(JSON.stringify(found));`;

/** The resolver of this machine, for the test: it knows two names, and asks for a connection where it has much to say. */
function answerOutside(query: DnsMessage, transport: "udp" | "tcp"): DnsMessage {
  const reply: DnsMessage = { ...query, isResponse: true, recursionAvailable: true };
  const name = query.question?.name.join(".").toLowerCase();
  const records = (count: number) =>
    Array.from({ length: count }, (_, index): ResourceRecord => {
      const bytes = Uint8Array.of(192, 0, 2 + Math.floor(index / 250), index % 250);
      const value = { kind: "address", bytes } as const;
      return { name: query.question?.name ?? [], type: TYPE.A, class: CLASS_IN, ttl: 60, value };
    });
  if (name === "www.example.com") return { ...reply, answers: records(1) };
  if (name !== "many.example.com") return { ...reply, rcode: RCODE.NXDOMAIN };
  return transport === "udp" ? { ...reply, truncated: true } : { ...reply, answers: records(MANY) };
}

async function askFromPod(folder: string): Promise<void> {
  const sandbox = await openSandbox({ stateDir: folder });
  const outside = { ip: loopbackAddress(), port: 5353 };
  const fail = (error: unknown) => {
    throw error;
  };
  const closing = [
    await serveDns({
      sockets: loopbackSockets(),
      at: outside,
      onError: fail,
      answer: async (bytes, transport) => encodeMessage(answerOutside(decodeMessage(bytes), transport)),
    }),
    await startClusterDns({
      source: dnsCluster(),
      sockets: sandbox,
      clock: systemClock,
      onError: fail,
      upstreams: () => [outside],
    }),
  ];
  const pod = await sandbox.createPod(podSpec("asker"));
  const asker = await pod.startContainer(containerSpec(folder, "asker", [BUN_INSIDE, "-e", ASKER]));
  await asker.exited;
  for (const close of closing) close();
  const log = readFileSync(join(folder, "asker.log"), "utf8");
  await sandbox.close();
  console.log(JSON.stringify({ found: JSON.parse(log.slice(log.indexOf("{"))) as unknown }));
}

if (import.meta.main) await askFromPod(process.argv[2] ?? "");
