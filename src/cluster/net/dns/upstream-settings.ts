/** Which resolvers this machine asks: its resolv.conf(5), read again when it may have changed. */
import { isIP } from "node:net";
import type { Clock } from "../../../kernel/clock.ts";
import { parseResolvConf } from "../resolv-conf.ts";

/** Laptops change networks; a file this small costs nothing to read. */
const REREAD_MS = 2_000;
/** What the C library asks where nothing is configured. */
const DEFAULT_SERVER = "127.0.0.1";
/** As many as the C library asks. */
const MOST_SERVERS = 3;

/** The resolvers, first choice first. Those on loopback count: the engine asks from this machine. */
export function resolversOf(readResolvConf: () => string, clock: Clock): () => readonly string[] {
  let servers: readonly string[] = [];
  let readAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.monotonic() - readAt < REREAD_MS) return servers;
    readAt = clock.monotonic();
    servers = parseServers(readResolvConf);
    return servers;
  };
}

function parseServers(readResolvConf: () => string): readonly string[] {
  let text: string;
  try {
    text = readResolvConf();
  } catch {
    return [DEFAULT_SERVER]; // The C library takes a missing file for an empty one.
  }
  const { nameservers } = parseResolvConf(text);
  const servers = [...new Set(nameservers.filter((address) => isIP(address) !== 0))].slice(0, MOST_SERVERS);
  return servers.length === 0 ? [DEFAULT_SERVER] : servers;
}
