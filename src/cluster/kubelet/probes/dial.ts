/** Connects to the target of a probe or hook, from the node. */
import { lookup } from "node:dns/promises";
import type { Duplex } from "node:stream";
import { parseIpv4 } from "../../../lib/ipv4.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { dialError, NetworkError } from "../../../k8s/network-error.ts";

export interface DialTarget {
  /** Digits, or a name that this machine resolves. */
  readonly host: string;
  readonly port: number;
}

/** Rejects with `NetworkError`, or with the signal's reason. */
export async function dial(
  sandbox: Pick<Sandbox, "connect">,
  { host, port }: DialTarget,
  signal: AbortSignal,
): Promise<Duplex> {
  const ip = await resolve(host, signal);
  try {
    return await sandbox.connect({ ip, port }, signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw dialError(`${ip}:${port}`, cause);
  }
}

/** `HOST:PORT` as Go's `net.JoinHostPort` writes it. */
export function hostPort({ host, port }: DialTarget): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

async function resolve(host: string, signal: AbortSignal): Promise<string> {
  if (parseIpv4(host) !== undefined) return host;
  // What loopback means is the node's matter, not this machine's.
  if (host === "localhost") return "127.0.0.1";
  if (host.includes(":")) throw new NetworkError(`dial tcp [${host}]: connect: network is unreachable`);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const { address } = await Promise.race([lookup(host, { family: 4 }), aborted]);
    return address;
  } catch (cause) {
    signal.throwIfAborted();
    throw new NetworkError(`dial tcp: lookup ${host}: no such host`, { cause });
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
