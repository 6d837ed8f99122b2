/** Says which addresses are this machine's own: the kernel knows more of them than interfaces tell. */
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { type Ipv4Range, parseIpv4Range } from "../../../lib/ipv4.ts";

/** The routes of the kernel as text; those that end at this machine are `host LOCAL`. */
const ROUTES = "/proc/net/fib_trie";

/** Also those of interfaces that have no cable, and whole ranges that are routed to this machine itself. */
export function ownAddresses(): readonly Ipv4Range[] {
  const found = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const ofInterfaces = found.flatMap(({ address }) => rangeOf(address, 32));
  return [...ofInterfaces, ...localRanges(routes())];
}

/** Empty where /proc does not tell. */
function routes(): string {
  try {
    return readFileSync(ROUTES, "utf8");
  } catch {
    return "";
  }
}

/** An address stands in a line, and its routes in those below it. */
export function localRanges(text: string): readonly Ipv4Range[] {
  let address = "";
  return text.split("\n").flatMap((line) => {
    address = /^ *\|-- (\S+)$/.exec(line)?.[1] ?? address;
    const length = /^ *\/(\d+) host LOCAL$/.exec(line)?.[1];
    return length === undefined ? [] : rangeOf(address, Number(length));
  });
}

function rangeOf(address: string, prefixLength: number): readonly Ipv4Range[] {
  const range = parseIpv4Range(`${address}/${prefixLength}`);
  return range === undefined ? [] : [range];
}
