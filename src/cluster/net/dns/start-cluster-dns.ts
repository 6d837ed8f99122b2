/** Cluster DNS as pods know it: the names of the cluster, and behind it this machine's resolvers. */
import { readFileSync } from "node:fs";
import { DNS_SERVICE_IP, POD_RANGE, SERVICE_RANGE } from "../../../k8s/cluster-network.ts";
import type { Clock } from "../../../kernel/clock.ts";
import type { NodeSockets } from "../node-sockets.ts";
import { createAnswerer } from "./answer-query.ts";
import { type ObjectSource, viewOf } from "./cluster-view.ts";
import type { ServerAddress } from "./ask-server.ts";
import { nameOf } from "./domain-name.ts";
import { createForwarder } from "./forward.ts";
import { resolveClusterName } from "./resolve-cluster-name.ts";
import { serveDns } from "./serve-dns.ts";
import { resolversOf } from "./upstream-settings.ts";

const DNS_PORT = 53;
/** Services and pods: addresses that nobody outside knows. */
const OWN_RANGES = [SERVICE_RANGE, POD_RANGE];

export interface ClusterDnsOptions {
  /** The store. */
  readonly source: ObjectSource;
  /** The sandbox. */
  readonly sockets: NodeSockets;
  readonly clock: Clock;
  /** Told of failures that are bugs. */
  readonly onError: (error: unknown) => void;
  /** @default {DNS_SERVICE_IP, port 53} */
  readonly at?: ServerAddress;
  /** @default {"cluster.local"} */
  readonly domain?: string;
  /** Whom to ask about the rest of the world. By default, what /etc/resolv.conf says at that moment. */
  readonly upstreams?: () => readonly ServerAddress[];
}

/** Rejects with the kernel's error when the address cannot be had. Returns what ends it; idempotent. */
export async function startClusterDns(options: ClusterDnsOptions): Promise<() => void> {
  const { source, sockets, clock, onError, domain = "cluster.local" } = options;
  const { at = { ip: DNS_SERVICE_IP, port: DNS_PORT } } = options;
  const closing = new AbortController();
  const zone = {
    domain: nameOf(domain),
    serverIp: at.ip,
    ranges: OWN_RANGES,
  };
  const view = viewOf(source);
  const close = await serveDns({
    sockets,
    at,
    onError,
    answer: createAnswerer({
      resolve: (question) => resolveClusterName(question, zone, view),
      forward: createForwarder({
        servers: options.upstreams ?? ofMachine(clock),
        clock,
        signal: closing.signal,
      }),
      random: Math.random,
    }),
  });
  return () => {
    closing.abort();
    close();
  };
}

function ofMachine(clock: Clock): () => readonly ServerAddress[] {
  const resolvers = resolversOf(() => readFileSync("/etc/resolv.conf", "utf8"), clock);
  return () => resolvers().map((ip) => ({ ip, port: DNS_PORT }));
}
