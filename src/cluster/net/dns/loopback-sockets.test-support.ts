/** Descriptors of sockets on this machine's loopback, as the sandbox hands out those of the node. */
import { closeSync } from "node:fs";
import { ptr } from "bun:ffi";
import { openLibc } from "../../../lib/libc.ts";
import { ipBytes } from "./ip-bytes.ts";
import type { NodeSockets } from "../node-sockets.ts";

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const FLAGS = 0o2_004_000;

/** Nobody else has an address of these: any port is free there. */
export function loopbackAddress(): string {
  const [a = 1, b = 1] = crypto.getRandomValues(new Uint8Array(2));
  return `127.83.${a}.${Math.max(1, Math.min(b, 254))}`;
}

export function loopbackSockets(): NodeSockets {
  const libc = openLibc({
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    listen: { args: ["i32", "i32"], returns: "i32" },
  });
  if (libc === null) throw new Error("no C library");
  const open = (type: number, { ip, port }: { readonly ip: string; readonly port: number }): number => {
    const fd = libc.socket(AF_INET, type | FLAGS, 0);
    const address = Buffer.alloc(16);
    address.writeUInt16LE(AF_INET, 0);
    address.writeUInt16BE(port, 2);
    address.set(ipBytes(ip) ?? [], 4);
    const isOpen =
      libc.bind(fd, ptr(address), 16) === 0 && (type === SOCK_DGRAM || libc.listen(fd, 64) === 0);
    if (isOpen) return fd;
    closeSync(fd);
    throw Object.assign(new Error(`bind EADDRINUSE ${ip}:${port}`), { code: "EADDRINUSE" });
  };
  return { listenTcp: (at) => open(SOCK_STREAM, at), bindUdp: (at) => open(SOCK_DGRAM, at) };
}
