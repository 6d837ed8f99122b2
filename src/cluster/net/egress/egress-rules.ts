/** Makes the kernel hand the engine what pods send to the outside, in lines of nft(8). */
import { formatIpv4Range, type Ipv4Range } from "../../../lib/ipv4.ts";

const TABLE = "ip pillion-egress";

/**
 * TCP that comes over the bridge and is for nobody in the cluster goes to `port` of the node. Everything else goes nowhere, as
 * without these rules: the node has no route out, and answers that the network is unreachable.
 */
export function egressRules({
  cluster,
  port,
}: {
  readonly cluster: readonly Ipv4Range[];
  readonly port: number;
}): string {
  const ranges = cluster.map(formatIpv4Range).join(", ");
  return `${[
    `add table ${TABLE}`,
    `delete table ${TABLE}`,
    `add table ${TABLE}`,
    // Behind the one of Services: what that has translated is not looked at again.
    `add chain ${TABLE} prerouting { type nat hook prerouting priority -90; }`,
    `add rule ${TABLE} prerouting iifname "br0" ip daddr != { ${ranges} } meta l4proto tcp redirect to :${port}`,
  ].join("\n")}\n`;
}
