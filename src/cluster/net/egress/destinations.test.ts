import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { formatIpv4 } from "../../../lib/ipv4.ts";
import { mayLeaveFor } from "./destinations.ts";

const MACHINE = {
  cluster: [
    { base: 0x0a_f4_00_00, prefixLength: 16 },
    { base: 0x0a_60_00_00, prefixLength: 16 },
  ],
  own: [
    { base: 0xc0_a8_01_07, prefixLength: 32 },
    { base: 0xcb_00_71_08, prefixLength: 29 },
  ],
};

describe("mayLeaveFor()", () => {
  test.each([
    "1.1.1.1",
    "192.168.1.1",
    "10.0.0.1",
    "172.17.0.2",
    "10.243.255.255",
    "10.97.0.0",
    "223.255.255.255",
  ])("other machines: %s", (ip) => {
    expect(mayLeaveFor(ip, MACHINE)).toBe(true);
  });

  test.each([
    ["the machine's own address", "192.168.1.7"],
    ["another one of its own, that nobody else routes to it", "203.0.113.9"],
    ["loopback", "127.0.0.1"],
    ["the end of loopback", "127.255.255.255"],
    ["this network, which Linux takes for loopback", "0.0.0.0"],
    ["metadata of clouds", "169.254.169.254"],
    ["metadata of Azure", "168.63.129.16"],
    ["metadata of Alibaba", "100.100.100.200"],
    ["many machines", "224.0.0.1"],
    ["reserved", "240.0.0.1"],
    ["broadcast", "255.255.255.255"],
    ["pods", "10.244.3.4"],
    ["Services", "10.96.0.1"],
    ["an IPv4 address in an IPv6 one", "::ffff:127.0.0.1"],
    ["a number", "2130706433"],
    ["octal", "0177.0.0.1"],
    ["a name", "localhost"],
    ["nothing", ""],
  ])("never %s: %s", (_, ip) => {
    expect(mayLeaveFor(ip, MACHINE)).toBe(false);
  });

  test("of all of 127/8 and 169.254/16 nothing", () => {
    const anyOf = (base: number, bits: number) =>
      fc.integer({ min: 0, max: 2 ** bits - 1 }).map((rest) => formatIpv4(base + rest));
    fc.assert(
      fc.property(
        fc.oneof(anyOf(0x7f_00_00_00, 24), anyOf(0xa9_fe_00_00, 16)),
        (ip) => !mayLeaveFor(ip, MACHINE),
      ),
    );
  });
});
