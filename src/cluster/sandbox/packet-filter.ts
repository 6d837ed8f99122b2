/** Runs nft(8) in the node's network namespace, where it can translate addresses; finds out first whether it can. */
import { closeSync, writeSync } from "node:fs";
import { ptr } from "bun:ffi";
import type { PacketFilter } from "../net/packet-filter.ts";
import type { Address } from "../net/service-network.ts";
import { messageOf } from "../../kernel/problem.ts";
import { formatIpv4 } from "../../lib/ipv4.ts";
import type { Launcher } from "./launcher.ts";
import * as linux from "./linux-constants.ts";
import { addLinkRoute, forgetConnections, type NetlinkRequest } from "./netlink.ts";
import { BRIDGE_INDEX } from "./network.ts";
import { Program } from "./program.ts";

const AF_NETLINK = 16;
const AF_INET = 2;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;
const EEXIST = 17;
const SOL_IP = 0;
const SO_ORIGINAL_DST = 80;
const SOCKADDR_BYTES = 16;

/** Debian keeps them from the PATH of ordinary users. */
const SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin";
/** What takes longer hangs: a thousand Services take half a second. */
const PATIENCE_MS = 20_000;

/** One rule of each kind that anybody uses here. It is gone again before anything could meet it. */
const PROBE = `add table ip pillion-probe
add map ip pillion-probe services { type ipv4_addr . inet_proto . inet_service : verdict; }
add set ip pillion-probe pairs { type ipv4_addr . ipv4_addr; }
add set ip pillion-probe clients { type ipv4_addr; flags dynamic,timeout; timeout 10s; }
add chain ip pillion-probe in { type nat hook prerouting priority -100; }
add chain ip pillion-probe out { type nat hook output priority -100; }
add chain ip pillion-probe post { type nat hook postrouting priority 100; }
add chain ip pillion-probe filter { type filter hook forward priority 0; }
add chain ip pillion-probe to
add rule ip pillion-probe to ct mark set 0x40000001
add rule ip pillion-probe to update @clients { ip saddr }
add rule ip pillion-probe to meta l4proto tcp dnat to 10.0.0.1:80
add rule ip pillion-probe in ip saddr @clients goto to
add rule ip pillion-probe in numgen random mod 2 vmap { 0 : goto to, 1 : goto to }
add rule ip pillion-probe in ip daddr . meta l4proto . th dport vmap @services
add rule ip pillion-probe in iifname "br0" ip daddr != { 10.0.0.0/8, 127.0.0.0/8 } meta l4proto tcp redirect to :80
add rule ip pillion-probe post ip saddr . ip daddr @pairs masquerade
add rule ip pillion-probe filter ip daddr 10.0.0.1 reject with icmp type net-unreachable
delete table ip pillion-probe
`;

export interface PacketFilterPlace {
  readonly launcher: Launcher;
  /** The node's network namespace: open in the engine, and as a path. */
  readonly netns: number;
  readonly netnsPath: string;
}

/** Why there is no packet filter, and what would give one. */
export interface NoPacketFilter {
  /** Part of a sentence. */
  readonly because: string;
  /** A sentence without its end. */
  readonly fix: string;
}

export const SWITCHED_OFF: NoPacketFilter = {
  because: "PILLION_PACKET_FILTER switches the packet filter off",
  fix: "Start without that variable",
};
export const NOT_FORWARDING: NoPacketFilter = {
  because: "/proc/sys is read-only",
  fix: "Start Pillion where it may write there",
};

/** The packet filter, or why there is none. Never rejects. Takes 15 to 30 ms, nearly all of it the kernel's waiting. */
export async function findPacketFilter(place: PacketFilterPlace): Promise<PacketFilter | NoPacketFilter> {
  const nsenter = Bun.which("nsenter");
  const nft = Bun.which("nft") ?? Bun.which("nft", { PATH: SYSTEM_FOLDERS });
  if (nft === null)
    return { because: 'the program "nft" is not installed', fix: "Install the package nftables" };
  if (nsenter === null)
    return { because: 'the program "nsenter" is not installed', fix: "Install the package util-linux" };
  const argv = [nsenter, `--net=${place.netnsPath}`, "--", nft, "-f", "-"];
  try {
    await runNft(place.launcher, argv, PROBE);
  } catch (error) {
    return { because: messageOf(error), fix: "Use a kernel with nf_tables and its address translation" };
  }
  return {
    apply: (script) => runNft(place.launcher, argv, script),
    forget: (mark) => request(place, NETLINK_NETFILTER, forgetConnections(mark)),
    openNode() {
      const everywhere = { link: BRIDGE_INDEX, address: 0, prefixLength: 0 };
      request(place, NETLINK_ROUTE, addLinkRoute(everywhere), EEXIST);
    },
    originalDestination: (fd) => originalDestination(place.launcher, fd),
  };
}

async function runNft(launcher: Launcher, argv: readonly string[], script: string): Promise<void> {
  const stdin = openScript(launcher, script);
  const child = spawnWith(argv, stdin);
  const [said, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
  if (exitCode !== 0) throw new Error(complaintOf(said, exitCode));
}

const OPTIONS = { stdout: "ignore", stderr: "pipe", timeout: PATIENCE_MS, killSignal: "SIGKILL" } as const;

function spawnWith(argv: readonly string[], stdin: number) {
  try {
    return Bun.spawn([...argv], { ...OPTIONS, stdin });
  } finally {
    closeSync(stdin);
  }
}

/**
 * A file in memory, to be read from its beginning. Bun would make the same one of bytes, and keep it open until its garbage
 * is collected; a pipe of Bun's is a socket, which older nft cannot open by the name of /dev/stdin.
 */
function openScript(launcher: Launcher, script: string): number {
  const fd = launcher.call("memfd_create", ["nft", linux.MFD_CLOEXEC]);
  const bytes = Buffer.from(script);
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, at);
  return fd;
}

function complaintOf(said: string, exitCode: number | null): string {
  const [line = ""] = said.trim().split("\n");
  return `nft says: ${line === "" ? `exit code ${exitCode}` : line}`;
}

/** Sends it in the node's namespace. Throws `LaunchError`. */
function request(
  { launcher, netns }: PacketFilterPlace,
  family: number,
  { what, bytes }: NetlinkRequest,
  ignore?: number,
): void {
  const program = new Program();
  const socket = program.slot();
  program
    .call("setns", [netns, linux.CLONE_NEWNET], { name: "setns(node)" })
    .call("socket", [AF_NETLINK, SOCK_RAW | linux.O_CLOEXEC, family], {
      save: socket,
      name: "socket(netlink)",
    })
    .call("netlink", [socket, bytes, bytes.length], {
      name: what,
      ...(ignore !== undefined && { ignore }),
    });
  launcher.run(program);
}

/** The kernel looks among the connections of the socket's own network namespace. */
function originalDestination(launcher: Launcher, fd: number): Address | undefined {
  const address = new Uint8Array(new ArrayBuffer(SOCKADDR_BYTES));
  const length = Uint32Array.of(SOCKADDR_BYTES);
  const result = launcher.tryCall("getsockopt", [fd, SOL_IP, SO_ORIGINAL_DST, ptr(address), ptr(length)]);
  const view = new DataView(address.buffer);
  if (result < 0 || view.getUint16(0, true) !== AF_INET) return undefined;
  return { ip: formatIpv4(view.getUint32(4)), port: view.getUint16(2) };
}
