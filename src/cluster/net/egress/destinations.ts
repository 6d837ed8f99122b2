/** Says where pods may go outside of the cluster: to other machines, never to this one. */
import { type Ipv4Range, isInRange, parseIpv4, parseIpv4Range } from "../../../lib/ipv4.ts";

/**
 * Addresses that mean this machine, its link, or many machines at once (RFC 6890, RFC 1112), and those where clouds give a
 * machine its credentials: 169.254.169.254 of most, 168.63.129.16 of Azure, 100.100.100.200 of Alibaba.
 */
const REFUSED_RANGES: readonly string[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "168.63.129.16/32",
  "100.100.100.200/32",
];

const REFUSED: readonly Ipv4Range[] = REFUSED_RANGES.flatMap((text) => parseIpv4Range(text) ?? []);

export interface Machine {
  /** Of pods and Services: what is there is in the cluster, or nowhere. */
  readonly cluster: readonly Ipv4Range[];
  /** This machine's own addresses, on whatever interface. */
  readonly own: readonly Ipv4Range[];
}

/** Whether a pod may connect to that address. Only plain IPv4 addresses are places. */
export function mayLeaveFor(ip: string, { cluster, own }: Machine): boolean {
  if (parseIpv4(ip) === undefined) return false;
  return ![...REFUSED, ...cluster, ...own].some((range) => isInRange(ip, range));
}
