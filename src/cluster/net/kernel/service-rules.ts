/** What the kernel has to know to carry traffic to cluster IPs, and how to get from what it knows to that, in lines of nft(8). */
import type { ServiceRoute } from "../../../k8s/service-routes.ts";
import { formatIpv4Range, type Ipv4Range } from "../../../lib/ipv4.ts";
import { keyOf } from "../endpoint-picker.ts";
import type { ConnectionMark } from "../packet-filter.ts";

export const SERVICE_TABLE = "ip pillion-services";

/** Set in the marks of everything sent to a Service by UDP; the bits below say to which endpoint. */
const MARK = 0x4000_0000;
const ENDPOINT_BITS = 0x3fff_ffff;
const ALL_BITS = 0xffff_ffff;

/** Every datagram to a Service. */
export const ALL_DATAGRAMS: ConnectionMark = { value: MARK, mask: MARK };
/** Datagrams that had nowhere to go. */
export const LOST_DATAGRAMS: ConnectionMark = { value: MARK, mask: ALL_BITS };

/** Everything has a name, so that two of them can be compared. */
export interface ServiceRules {
  /** Dynamic sets, with how many seconds an address stays in them. */
  readonly sets: ReadonlyMap<string, number>;
  /** Chains with their rules. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Keys of the map that leads to the chains of Services. */
  readonly services: ReadonlyMap<string, string>;
  /** Addresses of endpoints. */
  readonly endpoints: ReadonlySet<string>;
  /** Chains that lead datagrams to an endpoint, with how its connections are marked. */
  readonly marks: ReadonlyMap<string, ConnectionMark>;
  /** Keys of `services` that are for datagrams. */
  readonly datagrams: ReadonlySet<string>;
}

export const NO_RULES: ServiceRules = {
  sets: new Map(),
  chains: new Map(),
  services: new Map(),
  endpoints: new Set(),
  marks: new Map(),
  datagrams: new Set(),
};

/**
 * A chain for each route that has endpoints, and one for each of these: `numgen` picks one, or an earlier choice is found in
 * its set (as kube-proxy's mode nftables does, KEP-3866). Without endpoints there is nothing: cluster IPs are the node's own,
 * and where nobody listens the kernel refuses. SCTP is left out. Node
 * ports lead to the same chains from the node's own address.
 */
export function serviceRules(routes: readonly ServiceRoute[], nodeIP: string): ServiceRules {
  const sets = new Map<string, number>();
  const chains = new Map<string, readonly string[]>();
  const services = new Map<string, string>();
  const endpoints = new Set<string>();
  const marks = new Map<string, ConnectionMark>();
  const datagrams = new Set<string>();
  for (const route of routes) {
    const { clusterIP, port, nodePort, affinitySeconds } = route;
    if (route.protocol === "SCTP" || route.endpoints.length === 0) continue;
    const protocol = route.protocol.toLowerCase();
    const chain = `${protocol}-${clusterIP}-${port}`;
    // The API gives nobody another's address; the first has it.
    if (chains.has(chain)) continue;
    const stays: string[] = [];
    const targets = route.endpoints.map((endpoint) => {
      const name = `${chain}-${endpoint.ip}-${endpoint.port}`;
      const rules: string[] = [];
      if (protocol === "udp") {
        const mark = markOf(name);
        marks.set(name, mark);
        rules.push(`ct mark set ${mark.value}`);
      }
      if (affinitySeconds !== undefined) {
        const set = `${name}-${affinitySeconds}s`;
        sets.set(set, affinitySeconds);
        stays.push(`ip saddr @${set} goto ${name}`);
        // A rule of its own: a full set ends it.
        rules.push(`update @${set} { ip saddr }`);
      }
      rules.push(`meta l4proto ${protocol} dnat to ${keyOf(endpoint)}`);
      chains.set(name, rules);
      endpoints.add(endpoint.ip);
      return name;
    });
    const choices = targets.map((name, index) => `${index} : goto ${name}`).join(", ");
    chains.set(chain, [...stays, `numgen random mod ${targets.length} vmap { ${choices} }`]);
    const keys = [`${clusterIP} . ${protocol} . ${port}`];
    if (nodePort !== undefined) keys.push(`${nodeIP} . ${protocol} . ${nodePort}`);
    for (const key of keys) {
      if (!services.has(key)) services.set(key, chain);
      if (protocol === "udp") datagrams.add(key);
    }
  }
  return { sets, chains, services, endpoints, marks, datagrams };
}

/** Two endpoints of one mark would be no harm: both are forgotten when one goes. */
function markOf(chain: string): ConnectionMark {
  return { value: MARK | ((Bun.hash.xxHash32(chain) % ENDPOINT_BITS) + 1), mask: ALL_BITS };
}

/** Lines that make the table anew, with nothing but where traffic comes in. Whatever was in it is gone. */
export function emptyTable({
  services,
  nodeIP,
}: {
  readonly services: Ipv4Range;
  readonly nodeIP: string;
}): string[] {
  const table = SERVICE_TABLE;
  const range = formatIpv4Range(services);
  const lead = [
    "ip daddr . meta l4proto . th dport vmap @services",
    // Once there is an endpoint these have to begin anew.
    `ip daddr { ${range}, ${nodeIP} } meta l4proto udp ct mark set ${LOST_DATAGRAMS.value}`,
  ];
  return [
    // There is no "delete it if it is there" before nft 1.0.7 and Linux 6.3.
    `add table ${table}`,
    `delete table ${table}`,
    `add table ${table}`,
    `add map ${table} services { type ipv4_addr . inet_proto . inet_service : verdict; }`,
    `add set ${table} endpoints { type ipv4_addr . ipv4_addr; }`,
    `add chain ${table} prerouting { type nat hook prerouting priority -100; }`,
    ...lead.map((rule) => `add rule ${table} prerouting ${rule}`),
    `add chain ${table} output { type nat hook output priority -100; }`,
    ...lead.map((rule) => `add rule ${table} output ${rule}`),
    `add chain ${table} postrouting { type nat hook postrouting priority 100; }`,
    // A pod that comes back to itself would not know its own address as a client's.
    `add rule ${table} postrouting ip saddr . ip daddr @endpoints masquerade`,
    // The node itself speaks to a Service with the address of the Service, which is its own.
    `add rule ${table} postrouting ip saddr ${range} oifname "br0" masquerade`,
  ];
}

/** Lines that change the table from one state to the other; none when nothing changes. */
export function changeRules(from: ServiceRules, to: ServiceRules): string[] {
  const table = SERVICE_TABLE;
  const lines: string[] = [];
  for (const [name, seconds] of added(from.sets, to.sets))
    lines.push(`add set ${table} ${name} { type ipv4_addr; flags dynamic,timeout; timeout ${seconds}s; }`);
  for (const [name] of added(from.chains, to.chains)) lines.push(`add chain ${table} ${name}`);
  for (const [name, rules] of to.chains) {
    const before = from.chains.get(name);
    if (before?.join("\n") === rules.join("\n")) continue;
    if (before !== undefined) lines.push(`flush chain ${table} ${name}`);
    for (const rule of rules) lines.push(`add rule ${table} ${name} ${rule}`);
  }
  // What is referred to goes after what refers to it.
  lines.push(...elements("delete", "services", leadsOnlyIn(from, to)));
  lines.push(...elements("add", "services", leadsOnlyIn(to, from)));
  lines.push(...elements("delete", "endpoints", [...from.endpoints.difference(to.endpoints)].map(pair)));
  lines.push(...elements("add", "endpoints", [...to.endpoints.difference(from.endpoints)].map(pair)));
  const gone = [...added(to.chains, from.chains)];
  for (const [name] of gone) lines.push(`flush chain ${table} ${name}`);
  for (const [name] of gone) lines.push(`delete chain ${table} ${name}`);
  for (const [name] of added(to.sets, from.sets)) lines.push(`delete set ${table} ${name}`);
  return lines;
}

/** Connections that must begin anew after the change: UDP has no end that anybody would notice. */
export function staleConnections(from: ServiceRules, to: ServiceRules): ConnectionMark[] {
  const gone = [...added(to.marks, from.marks)].map(([, mark]) => mark);
  return to.datagrams.isSubsetOf(from.datagrams) ? gone : [...gone, LOST_DATAGRAMS];
}

function elements(verb: "add" | "delete", set: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [`${verb} element ${SERVICE_TABLE} ${set} { ${values.join(", ")} }`];
}

/** A node port may lead to another Service than before. */
function leadsOnlyIn({ services }: ServiceRules, other: ServiceRules): string[] {
  const leads = [...services].filter(([key, chain]) => other.services.get(key) !== chain);
  return leads.map(([key, chain]) => `${key} : goto ${chain}`);
}

function pair(ip: string): string {
  return `${ip} . ${ip}`;
}

/** What only the second has. */
function added<T>(from: ReadonlyMap<string, T>, to: ReadonlyMap<string, T>): [string, T][] {
  return [...to].filter(([name]) => !from.has(name));
}
