/** IPv4 addresses and ranges as unsigned numbers, so that they can be counted, compared and put on the wire. */

/** A range in CIDR form: `base` has all host bits zero. */
export interface Ipv4Range {
  readonly base: number;
  readonly prefixLength: number;
}

/** The address as an unsigned 32-bit number, or `undefined` when `text` is not four decimal bytes. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const part of match.slice(1)) {
    // A leading zero is octal to some programs and decimal to others (CVE-2021-29923): neither.
    if (part.length > 1 && part.startsWith("0")) return undefined;
    const byte = Number(part);
    if (byte > 255) return undefined;
    address = address * 256 + byte;
  }
  return address;
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

/** Reads `10.244.0.0/16`; `undefined` for anything else, and for a base with host bits set. */
export function parseIpv4Range(text: string): Ipv4Range | undefined {
  const [addressText = "", lengthText = "", ...rest] = text.split("/");
  const base = parseIpv4(addressText);
  if (base === undefined || rest.length > 0 || !/^(0|[1-9]\d?)$/.test(lengthText)) return undefined;
  const prefixLength = Number(lengthText);
  if (prefixLength > 32 || base % 2 ** (32 - prefixLength) !== 0) return undefined;
  return { base, prefixLength };
}

/** In CIDR form. */
export function formatIpv4Range({ base, prefixLength }: Ipv4Range): string {
  return `${formatIpv4(base)}/${prefixLength}`;
}

/** False also for what is no IPv4 address in digits. */
export function isInRange(text: string, range: Ipv4Range): boolean {
  const address = parseIpv4(text);
  return address !== undefined && address >= range.base && address < range.base + rangeSize(range);
}

/** How many addresses the range holds, network and broadcast address included. */
export function rangeSize({ prefixLength }: Ipv4Range): number {
  return 2 ** (32 - prefixLength);
}
