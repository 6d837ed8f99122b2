/** What the kernel knows of a UDP socket: whether something waits in it, and how many datagrams it had no room for. */
import { readFileSync } from "node:fs";

export interface UdpQueue {
  /** Bytes that nobody has taken yet. */
  readonly waiting: number;
  /** Since the socket was made. */
  readonly drops: number;
}

const FILES = ["/proc/net/udp", "/proc/net/udp6"];
const QUIET: UdpQueue = { waiting: 0, drops: 0 };

/** Of all sockets of this network namespace at the port; nothing where the system does not tell. */
export function udpQueueAt(port: number): UdpQueue {
  return FILES.map(readTable).reduce((sum, table) => addPort(sum, table, port), QUIET);
}

/** Adds the sockets that a table in the kernel's notation has at the port. */
export function addPort(sum: UdpQueue, table: string, port: number): UdpQueue {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  let { waiting, drops } = sum;
  for (const line of table.split("\n").slice(1)) {
    const columns = line.trim().split(/\s+/);
    if (columns[1]?.endsWith(local) !== true) continue;
    waiting += Number.parseInt(columns[4]?.split(":")[1] ?? "0", 16);
    drops += Number(columns.at(-1));
  }
  return { waiting, drops };
}

function readTable(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Systems without IPv6 have no table of it.
    return "";
  }
}
