/** Finds an address of this machine's loopback for a Service of type LoadBalancer, and ports that may be bound there. */
import type { LoadBalancerIngress } from "../../../generated/kubernetes.ts";
import { formatIpv4, parseIpv4 } from "../../lib/ipv4.ts";
import type { Address } from "./service-network.ts";
import type { ListenAddress, ServiceProxy } from "./service-proxy.ts";

/** `127.1.0.0/16`: addresses of the loopback that nobody else uses. */
const OWN_BASE = 0x7f_01_00_00;
const OWN_COUNT = 0xfffe;
const LOOPBACK = 0x7f;
/** How many of them are tried. */
const OWN_TRIES = 8;
/** Ports instead of those that an ordinary user may not bind. */
const FIRST_FREE_PORT = 8000;
const LAST_FREE_PORT = 9999;

export interface ExternalPort {
  readonly protocol: "TCP" | "UDP";
  /** As the Service has it. */
  readonly port: number;
  /** Where this machine has it; another one only when that may not be bound. */
  readonly at: Address;
}

export interface ExternalAddress {
  readonly ip: string;
  readonly ports: readonly ExternalPort[];
}

export interface ExternalWish {
  /** `namespace/name`: the same Service gets the same address again. */
  readonly service: string;
  readonly ports: readonly { readonly protocol: "TCP" | "UDP"; readonly port: number }[];
  /** Tried first: what it had, or what its owner asks for. */
  readonly preferred: readonly string[];
  /** True for an address that another Service has, listening or not. */
  readonly isTaken: (protocol: "TCP" | "UDP", at: Address) => boolean;
}

/** Undefined when there is none, which takes a machine without a single free port. */
export async function findExternalAddress(
  check: ServiceProxy["check"],
  wish: ExternalWish,
): Promise<ExternalAddress | undefined> {
  const candidates = [...new Set([...wish.preferred.filter(isLoopback), "127.0.0.1", ...ownAddresses(wish)])];
  for (const ip of candidates) {
    const found = await portsAt(check, wish, { ip, mayMove: "forbidden" });
    if (found !== undefined) return { ip, ports: found };
  }
  // Another program has the port on all addresses of this machine.
  const ip = "127.0.0.1";
  const found = await portsAt(check, wish, { ip, mayMove: "always" });
  return found === undefined ? undefined : { ip, ports: found };
}

/** As the status shows it. The ports are there when not all are as the Service has them. */
export function ingressOf({ ip, ports }: ExternalAddress): LoadBalancerIngress {
  const isMoved = ports.some(({ port, at }) => port !== at.port);
  if (!isMoved) return { ip, ipMode: "VIP" };
  return { ip, ipMode: "VIP", ports: ports.map(({ protocol, at }) => ({ port: at.port, protocol })) };
}

/** Addresses of the Service's own; the same at each start. */
function ownAddresses({ service }: ExternalWish): string[] {
  const first = Bun.hash.crc32(service);
  return Array.from({ length: OWN_TRIES }, (_, index) =>
    formatIpv4(OWN_BASE + 1 + ((first + index) % OWN_COUNT)),
  );
}

function isLoopback(ip: string): boolean {
  const address = parseIpv4(ip);
  return address !== undefined && address >>> 24 === LOOPBACK;
}

interface Place {
  readonly ip: string;
  readonly mayMove: "forbidden" | "always";
}

async function portsAt(
  check: ServiceProxy["check"],
  wish: ExternalWish,
  { ip, mayMove }: Place,
): Promise<ExternalPort[] | undefined> {
  const found: ExternalPort[] = [];
  const codeAt = async (protocol: "TCP" | "UDP", port: number) => {
    const at: ListenAddress = { place: "machine", ip, port };
    const isChosen = found.some((other) => other.protocol === protocol && other.at.port === port);
    if (isChosen || wish.isTaken(protocol, at)) return "EADDRINUSE";
    return await check(protocol, at);
  };
  // Those that keep their number come first, so that none that moves takes it.
  const own = new Set(wish.ports.map(({ protocol, port }) => `${protocol}/${port}`));
  for (const { protocol, port } of wish.ports) {
    const code = await codeAt(protocol, port);
    if (code === undefined) {
      found.push({ protocol, port, at: { ip, port } });
      continue;
    }
    if (code !== "EACCES" && mayMove !== "always") return undefined;
    let free = FIRST_FREE_PORT;
    while (
      free <= LAST_FREE_PORT &&
      (own.has(`${protocol}/${free}`) || (await codeAt(protocol, free)) !== undefined)
    )
      free++;
    if (free > LAST_FREE_PORT) return undefined;
    found.push({ protocol, port, at: { ip, port: free } });
  }
  return found;
}
