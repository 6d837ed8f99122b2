/** How much of what was written to a TCP connection its peer's kernel has not acknowledged yet. */
import { readFile } from "node:fs/promises";

export interface TcpPorts {
  readonly localPort: number;
  readonly remotePort: number;
}

export interface SendQueue {
  /** Bytes written and not acknowledged. */
  readonly bytes: number;
  /** False once either side has begun to close. */
  readonly isEstablished: boolean;
}

/** Linux' `TCP_ESTABLISHED` in `include/net/tcp_states.h`. */
const ESTABLISHED = 1;
/** IPv4 connections of a socket made for IPv6 stand in the second file. */
const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/**
 * Reads the kernel's table (proc(5), `tx_queue`): what `ioctl(SIOCOUTQ)` says, without the descriptor. Undefined where there
 * is no such connection any more. Rejects where there is no such table.
 */
export async function readSendQueue(ports: TcpPorts): Promise<SendQueue | undefined> {
  for (const [index, path] of TABLES.entries()) {
    const table = await readFile(path, "latin1").catch((error: unknown) => {
      // Kernels without IPv6 have no second table.
      if (index > 0) return "";
      throw error;
    });
    const queue = findSendQueue(table, ports);
    if (queue !== undefined) return queue;
  }
  return undefined;
}

/** Exported for its tests. */
export function findSendQueue(table: string, { localPort, remotePort }: TcpPorts): SendQueue | undefined {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, "0");
  // `sl: ADDRESS:PORT ADDRESS:PORT STATE TX:RX …`, all in hexadecimal.
  const line = new RegExp(
    `^ *\\d+: [0-9A-F]+:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} ([0-9A-F]{2}) ([0-9A-F]{8}):`,
    "m",
  );
  const [, state = "", bytes = ""] = line.exec(table) ?? [];
  if (state === "") return undefined;
  return { bytes: Number.parseInt(bytes, 16), isEstablished: Number.parseInt(state, 16) === ESTABLISHED };
}
