/** IP addresses as the bytes of A and AAAA records. */
import { isIPv6 } from "node:net";
import { formatIpv4, parseIpv4 } from "../../../lib/ipv4.ts";

/** 4 or 16 bytes; `undefined` for what is no address. */
export function ipBytes(text: string): Uint8Array | undefined {
  const address = parseIpv4(text);
  if (address !== undefined) return Uint8Array.from([24, 16, 8, 0], (shift) => (address >>> shift) & 0xff);
  // A zone (`%eth0`) means something on one machine only.
  if (!isIPv6(text) || text.includes("%")) return undefined;
  // An IPv4 address may stand for the last two groups (RFC 4291, 2.2).
  const [, front = text, tail = ""] = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text) ?? [];
  const last = parseIpv4(tail) ?? 0;
  const groups = tail === "" ? text : `${front}${(last >>> 16).toString(16)}:${(last & 0xffff).toString(16)}`;
  const [before = "", after] = groups.split("::");
  const [first, rest] = [groupsOf(before), groupsOf(after ?? "")];
  const zeros = Array.from({ length: 8 - first.length - rest.length }, () => 0);
  return Uint8Array.from([...first, ...zeros, ...rest].flatMap((group) => [group >>> 8, group & 0xff]));
}

function groupsOf(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

/** The address that `4.3.2.1.in-addr.arpa` asks about, given its labels before `in-addr.arpa`. */
export function reversedIpv4(labels: readonly string[]): string | undefined {
  const text = labels.toReversed().join(".");
  const address = parseIpv4(text);
  return address === undefined || labels.length !== 4 ? undefined : formatIpv4(address);
}
