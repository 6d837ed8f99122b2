/** Makes the kernel hand the engine what pods send to the outside, in lines of nft(8). */
import { formatIpv4Range, type Ipv4Range } from "../../../lib/ipv4.ts";
import { keyOf } from "../endpoint-picker.ts";
import type { Address } from "../service-network.ts";

const TABLE = "ip pillion-egress";

/**
 * TCP of pods, and of the node itself, that is for nobody in the cluster goes to the socket `at` the node. Everything else goes
 * nowhere: the network is unreachable.
 */
export function egressRules({
  cluster,
  at,
}: {
  readonly cluster: readonly Ipv4Range[];
  readonly at: Address;
}): string {
  const ranges = cluster.map(formatIpv4Range).join(", ");
  const isAbroad = `ip daddr != { ${ranges} }`;
  const isAbroadForNode = `ip daddr != { ${ranges}, 127.0.0.0/8 }`;
  const unreachable = "reject with icmp type net-unreachable";
  return `${[
    `add table ${TABLE}`,
    `delete table ${TABLE}`,
    `add table ${TABLE}`,
    // Behind the one of Services: what that has translated is not looked at again.
    `add chain ${TABLE} prerouting { type nat hook prerouting priority -90; }`,
    `add rule ${TABLE} prerouting iifname "br0" ${isAbroad} meta l4proto tcp redirect to :${at.port}`,
    `add chain ${TABLE} output { type nat hook output priority -90; }`,
    `add rule ${TABLE} output ${isAbroadForNode} meta l4proto tcp dnat to ${keyOf(at)}`,
    // The node has a route, which leads nowhere.
    `add chain ${TABLE} forward { type filter hook forward priority 0; }`,
    `add rule ${TABLE} forward ${isAbroad} ${unreachable}`,
    `add chain ${TABLE} leave { type filter hook output priority 0; }`,
    `add rule ${TABLE} leave ${isAbroadForNode} ${unreachable}`,
  ].join("\n")}\n`;
}
