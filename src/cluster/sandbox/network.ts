/** The network of the cluster as programs for the launcher: a namespace that is the node, and a cable to it from each pod. */
import { POD_RANGE, SERVICE_RANGE } from "../../k8s/cluster-network.ts";
import { formatIpv4, type Ipv4Range } from "../../lib/ipv4.ts";
import * as linux from "./linux-constants.ts";
import {
  addAddress,
  addBridge,
  addDefaultRoute,
  addLinkRoute,
  addLocalRange,
  addVeth,
  deleteLink,
  type MacAddress,
  type NetlinkRequest,
  setLinkUp,
} from "./netlink.ts";
import type { Program } from "./program.ts";

/**
 * All of it lives in network namespaces of our own. A range that this machine also uses elsewhere (a VPN, Docker, a real
 * cluster) therefore never collides: no route outside of our namespaces knows it.
 */
export interface NetworkRanges {
  /** Addresses of pods; the first one is the node's own. */
  readonly pods: Ipv4Range;
  /** Addresses of Services, all of which the node can bind. */
  readonly services: Ipv4Range;
}

/** The ranges that most clusters use. */
export const DEFAULT_RANGES: NetworkRanges = {
  pods: POD_RANGE,
  services: SERVICE_RANGE,
};

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;

const LOOPBACK_INDEX = 1;
/** New network namespaces may start with tunnel devices (`tunl0`, `sit0`) at 2 and above; stay clear of them. */
export const BRIDGE_INDEX = 1_000;
const ETH0_INDEX = 1_000;
/** Cables are numbered by the address of their pod, above everything else in the node. */
const PORT_INDEX_BASE = 1_000_000;

/** The node's address on the pod network: the first of the range. */
export function nodeAddress({ pods }: NetworkRanges): number {
  return pods.base + 1;
}

/** Sets up the node; for a child in a new network namespace. */
export function buildNodeNetwork(program: Program, ranges: NetworkRanges): void {
  const address = nodeAddress(ranges);
  sendRequests(program, [
    setLinkUp(LOOPBACK_INDEX),
    // Without an address of its own a bridge takes on those of its ports, and pods would have to learn it anew each time.
    addBridge({ name: "br0", index: BRIDGE_INDEX, mac: macOf(address) }),
    addAddress({ link: BRIDGE_INDEX, address, prefixLength: ranges.pods.prefixLength }),
    addLocalRange({
      link: LOOPBACK_INDEX,
      address: ranges.services.base,
      prefixLength: ranges.services.prefixLength,
    }),
  ]);
}

/**
 * Makes a router of the node: pods then reach each other through it, and it answers "unreachable" where it leads nowhere.
 * For a child, which fails where /proc/sys is read-only.
 */
export function buildForwarding(program: Program, nodeNetns: number): void {
  program.call("setns", [nodeNetns, linux.CLONE_NEWNET], { name: "setns(node)" });
  // Pods must not learn that they could reach each other directly: answers would pass the node's translation by.
  for (const link of ["all", "br0"]) writeSysctl(program, `ipv4/conf/${link}/send_redirects`, "0", "must");
  writeSysctl(program, "ipv4/ip_forward", "1", "must");
  // With this module of the kernel, which Docker loads, a bridge translates too, and sends no pod's packet back to itself.
  writeSysctl(program, "bridge/bridge-nf-call-iptables", "0");
}

export interface PodNetwork {
  readonly ranges: NetworkRanges;
  /** The pod's own address. */
  readonly address: number;
  /** The node's network namespace, open in the engine. */
  readonly nodeNetns: number;
  /** The address was in use before: the kernel takes down the cable of a dead pod later, at its leisure. */
  readonly reused: boolean;
  /** The node forwards: everything goes through it, other pods included. */
  readonly isRouted: boolean;
}

/**
 * Connects a pod to the node; for a child in a new network namespace, whose stdin it uses up. One child does both ends:
 * it goes to the node, makes the cable there with the far end in its own namespace, and comes back.
 */
export function buildPodNetwork(
  program: Program,
  { ranges, address, nodeNetns, reused, isRouted }: PodNetwork,
): void {
  const gateway = nodeAddress(ranges);
  const own = program.slot();
  const port = `veth${address.toString(16).padStart(8, "0")}`;
  program
    .call("openat", [linux.AT_FDCWD, "/proc/self/ns/net", linux.O_RDONLY | linux.O_CLOEXEC, 0], { save: own })
    // The request names the namespace by a number that has to be known here, and 0 is never `own`.
    .call("dup3", [own, 0, 0])
    .call("setns", [nodeNetns, linux.CLONE_NEWNET], { name: "setns(node)" });
  sendRequests(program, [
    ...(reused ? [deleteLink(port)] : []),
    addVeth({
      port: { name: port, index: PORT_INDEX_BASE + address - ranges.pods.base, mac: macOf(address, 0x02) },
      master: BRIDGE_INDEX,
      peer: { name: "eth0", index: ETH0_INDEX, mac: macOf(address) },
      netnsFd: 0,
    }),
  ]);
  program.call("setns", [own, linux.CLONE_NEWNET], { name: "setns(pod)" });
  sendRequests(program, [
    setLinkUp(LOOPBACK_INDEX),
    addAddress({ link: ETH0_INDEX, address, prefixLength: isRouted ? 32 : ranges.pods.prefixLength }),
    setLinkUp(ETH0_INDEX),
    ...(isRouted ? [addLinkRoute({ link: ETH0_INDEX, address: gateway, prefixLength: 32 })] : []),
    addDefaultRoute({ link: ETH0_INDEX, gateway }),
  ]);
  // What container runtimes set for every pod: programs without privileges may listen on port 80, and ping.
  writeSysctl(program, "ipv4/ip_unprivileged_port_start", "0");
  writeSysctl(program, "ipv4/ping_group_range", "0 2147483647");
}

/** Makes the requests in the network namespace that the child is in at that moment. */
function sendRequests(program: Program, requests: readonly NetlinkRequest[]): void {
  const socket = program.slot();
  program.call("socket", [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0], { save: socket, name: "socket(netlink)" });
  for (const { what, bytes, mayFail } of requests) {
    program.call("netlink", [socket, bytes, bytes.length], {
      name: what,
      ...(mayFail ? { ignore: "all" } : {}),
    });
  }
}

/** Where /proc/sys is read-only, or an id in `value` is not in our user namespace, things stay as the kernel has them. */
function writeSysctl(program: Program, name: string, value: string, urgency: "may" | "must" = "may"): void {
  const file = program.slot();
  const skip = program.label();
  const mayFail = urgency === "may" ? ({ ignore: "all", orElse: skip } as const) : {};
  const path = `/proc/sys/net/${name}`;
  program
    .call("openat", [linux.AT_FDCWD, path, linux.O_WRONLY | linux.O_CLOEXEC, 0], { save: file, ...mayFail })
    .call("write", [file, value, value.length], { name: `write(${path})`, ...mayFail })
    .place(skip);
}

/**
 * A hardware address made from the IP address: whoever remembers the one still reaches the other after the address went
 * to a new pod. The first byte marks it as locally administered.
 */
function macOf(address: number, first = 0x0a): MacAddress {
  const [a, b, c, d] = formatIpv4(address).split(".").map(Number);
  return [first, 0x58, a ?? 0, b ?? 0, c ?? 0, d ?? 0];
}
