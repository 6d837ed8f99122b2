/** Writes rtnetlink(7) requests, so that the network of pods needs no `ip` program and no process per change. */

/** Requests are written in the byte order of the machine; every machine that Bun runs on is little endian. */
const LITTLE_ENDIAN = true;

const NLMSG_HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;

const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;

/** `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE`. */
const IPCTNL_CT_DELETE = 0x0102;
const CTA_MARK = 8;
const CTA_MARK_MASK = 21;

const AF_UNSPEC = 0;
const AF_INET = 2;
const IFF_UP = 1;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;

const RT_TABLE_MAIN = 254;
const RT_TABLE_LOCAL = 255;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_HOST = 254;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;

/** Six bytes. */
export type MacAddress = readonly [number, number, number, number, number, number];

/** One request, ready to send. `what` names it in errors: `add link br0`. */
export interface NetlinkRequest {
  readonly what: string;
  /** A failure is no failure: what should go may be gone. */
  readonly mayFail: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface Link {
  /** At most 15 bytes. */
  readonly name: string;
  /** Chosen by the caller, so that nothing needs to be asked back. */
  readonly index: number;
  readonly mac: MacAddress;
}

export interface VethPair {
  /** The end that stays, up, as a port of the bridge `master`. */
  readonly port: Link;
  readonly master: number;
  /** The end that appears in the network namespace open as `netnsFd`, down. */
  readonly peer: Link;
  readonly netnsFd: number;
}

export interface Ipv4Address {
  readonly link: number;
  /** Unsigned 32-bit numbers as in lib/ipv4.ts. */
  readonly address: number;
  readonly prefixLength: number;
}

/** Creates a bridge that is up. */
export function addBridge({ name, index, mac }: Link): NetlinkRequest {
  return request(`add bridge ${name}`, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, [
    interfaceHeader(index, IFF_UP),
    attribute(IFLA_IFNAME, text(name)),
    attribute(IFLA_ADDRESS, Uint8Array.from(mac)),
    attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, text("bridge"))),
  ]);
}

/** Creates both ends of a virtual cable in one step. */
export function addVeth({ port, master, peer, netnsFd }: VethPair): NetlinkRequest {
  const peerData = attribute(
    VETH_INFO_PEER,
    interfaceHeader(peer.index, 0),
    attribute(IFLA_IFNAME, text(peer.name)),
    attribute(IFLA_ADDRESS, Uint8Array.from(peer.mac)),
    attribute(IFLA_NET_NS_FD, u32(netnsFd)),
  );
  return request(`add veth ${port.name}`, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, [
    interfaceHeader(port.index, IFF_UP),
    attribute(IFLA_IFNAME, text(port.name)),
    attribute(IFLA_ADDRESS, Uint8Array.from(port.mac)),
    attribute(IFLA_MASTER, u32(master)),
    attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, text("veth")), attribute(IFLA_INFO_DATA, peerData)),
  ]);
}

export function deleteLink(name: string): NetlinkRequest {
  return request(`delete link ${name}`, RTM_DELLINK, 0, [
    interfaceHeader(0, 0),
    attribute(IFLA_IFNAME, text(name)),
  ]);
}

export function setLinkUp(index: number): NetlinkRequest {
  return request(`set link ${index} up`, RTM_NEWLINK, 0, [interfaceHeader(index, IFF_UP)]);
}

export function addAddress({ link, address, prefixLength }: Ipv4Address): NetlinkRequest {
  const header = Uint8Array.of(AF_INET, prefixLength, 0, RT_SCOPE_UNIVERSE, ...u32(link));
  const hostBits = 2 ** (32 - prefixLength) - 1;
  const broadcast = attribute(IFA_BROADCAST, inet((address | hostBits) >>> 0));
  return request(`add address to link ${link}`, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, [
    header,
    attribute(IFA_LOCAL, inet(address)),
    attribute(IFA_ADDRESS, inet(address)),
    // An address that is alone has nobody to broadcast to; the kernel would take it for its own broadcast address.
    ...(prefixLength < 32 ? [broadcast] : []),
  ]);
}

/** Everything that is not on a link of its own goes to `gateway`. */
export function addDefaultRoute({
  link,
  gateway,
}: {
  readonly link: number;
  readonly gateway: number;
}): NetlinkRequest {
  return request("add default route", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, [
    routeHeader({ prefixLength: 0, table: RT_TABLE_MAIN, scope: RT_SCOPE_UNIVERSE, type: RTN_UNICAST }),
    attribute(RTA_GATEWAY, inet(gateway)),
    attribute(RTA_OIF, u32(link)),
  ]);
}

/** The range is behind the link itself. */
export function addLinkRoute({ link, address, prefixLength }: Ipv4Address): NetlinkRequest {
  return request("add link route", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, [
    routeHeader({ prefixLength, table: RT_TABLE_MAIN, scope: RT_SCOPE_LINK, type: RTN_UNICAST }),
    attribute(RTA_DST, inet(address)),
    attribute(RTA_OIF, u32(link)),
  ]);
}

/** AnyIP: every address of the range counts as this namespace's own, so that programs can bind each of them. */
export function addLocalRange({ link, address, prefixLength }: Ipv4Address): NetlinkRequest {
  return request("add local range", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, [
    routeHeader({ prefixLength, table: RT_TABLE_LOCAL, scope: RT_SCOPE_HOST, type: RTN_LOCAL }),
    attribute(RTA_DST, inet(address)),
    attribute(RTA_OIF, u32(link)),
  ]);
}

/**
 * Makes the kernel forget all connections of one mark, in the order of nfnetlink: `IPCTNL_MSG_CT_DELETE` without an address.
 * For a socket of `NETLINK_NETFILTER`.
 */
export function forgetConnections({
  value,
  mask,
}: {
  readonly value: number;
  readonly mask: number;
}): NetlinkRequest {
  const nfgenmsg = Uint8Array.of(AF_INET, 0, 0, 0);
  return request("forget connections", IPCTNL_CT_DELETE, 0, [
    nfgenmsg,
    attribute(CTA_MARK, inet(value)),
    attribute(CTA_MARK_MASK, inet(mask)),
  ]);
}

let lastSequence = 0;

/** struct nlmsghdr and what follows; the kernel answers each with one acknowledgement that repeats the sequence. */
function request(what: string, type: number, flags: number, parts: readonly Uint8Array[]): NetlinkRequest {
  const length = NLMSG_HEADER_BYTES + parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  lastSequence = (lastSequence + 1) >>> 0;
  view.setUint32(0, length, LITTLE_ENDIAN);
  view.setUint16(4, type, LITTLE_ENDIAN);
  view.setUint16(6, flags | NLM_F_REQUEST | NLM_F_ACK, LITTLE_ENDIAN);
  view.setUint32(8, lastSequence, LITTLE_ENDIAN);
  append(bytes, NLMSG_HEADER_BYTES, parts);
  return { what, bytes, mayFail: type === RTM_DELLINK };
}

/** struct ifinfomsg. */
function interfaceHeader(index: number, flags: number): Uint8Array {
  const changed = flags;
  return Uint8Array.of(AF_UNSPEC, 0, 0, 0, ...u32(index), ...u32(flags), ...u32(changed));
}

interface Route {
  readonly prefixLength: number;
  readonly table: number;
  readonly scope: number;
  readonly type: number;
}

/** struct rtmsg. */
function routeHeader({ prefixLength, table, scope, type }: Route): Uint8Array {
  return Uint8Array.of(AF_INET, prefixLength, 0, 0, table, RTPROT_BOOT, scope, type, ...u32(0));
}

/** struct rtattr and its value; the length excludes the padding to 4 bytes that follows the value. */
function attribute(type: number, ...value: readonly Uint8Array[]): Uint8Array {
  const length = ATTRIBUTE_HEADER_BYTES + value.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(Math.ceil(length / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, length, LITTLE_ENDIAN);
  view.setUint16(2, type, LITTLE_ENDIAN);
  append(bytes, ATTRIBUTE_HEADER_BYTES, value);
  return bytes;
}

function append(target: Uint8Array, offset: number, parts: readonly Uint8Array[]): void {
  for (const part of parts) {
    target.set(part, offset);
    offset += part.length;
  }
}

function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`, "latin1");
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, LITTLE_ENDIAN);
  return bytes;
}

/** Addresses travel in network byte order. */
function inet(address: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, address, false);
  return bytes;
}
