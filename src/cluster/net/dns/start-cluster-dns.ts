/** Cluster DNS as pods know it: the names of the cluster, and behind it this machine's resolvers. */
import { readFileSync } from "node:fs";
import type { Clock } from "../../../kernel/clock.ts";
import { parseIpv4Range } from "../../../lib/ipv4.ts";
import type { NodeSockets } from "../node-sockets.ts";
import { createAnswerer } from "./answer-query.ts";
import { type ObjectSource, viewOf } from "./cluster-view.ts";
import type { ServerAddress } from "./ask-server.ts";
import { nameOf } from "./domain-name.ts";
import { createForwarder } from "./forward.ts";
import { resolveClusterName } from "./resolve-cluster-name.ts";
import { serveDns } from "./serve-dns.ts";
import { resolversOf } from "./upstream-settings.ts";

/** The address that kubeadm gives to cluster DNS; what `KubeletOptions.clusterDNS` tells the pods. */
export const CLUSTER_DNS_IP = "10.96.0.10";

const DNS_PORT = 53;
/** Services and pods: addresses that nobody outside knows. */
const OWN_RANGES = ["10.96.0.0/16", "10.244.0.0/16"];

export interface ClusterDnsOptions {
  /** The store. */
  readonly source: ObjectSource;
  /** The sandbox. */
  readonly sockets: NodeSockets;
  readonly clock: Clock;
  /** Told of failures that are bugs. */
  readonly onError: (error: unknown) => void;
  /** @default {CLUSTER_DNS_IP, port 53} */
  readonly at?: ServerAddress;
  /** @default {"cluster.local"} */
  readonly domain?: string;
  /** Ranges in CIDR notation that no question is asked about outside. @default {OWN_RANGES} */
  readonly ranges?: readonly string[];
  /** Whom to ask about the rest of the world. By default, what /etc/resolv.conf says at that moment. */
  readonly upstreams?: () => readonly ServerAddress[];
}

/** Rejects with the kernel's error when the address cannot be had. Returns what ends it; idempotent. */
export async function startClusterDns(options: ClusterDnsOptions): Promise<() => void> {
  const { source, sockets, clock, onError, domain = "cluster.local", ranges = OWN_RANGES } = options;
  const { at = { ip: CLUSTER_DNS_IP, port: DNS_PORT } } = options;
  const closing = new AbortController();
  const zone = {
    domain: nameOf(domain),
    serverIp: at.ip,
    ranges: ranges.flatMap((range) => parseIpv4Range(range) ?? []),
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
