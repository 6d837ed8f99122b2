import { expect, test } from "bun:test";
import { formatIpv4Range } from "../../../lib/ipv4.ts";
import { localRanges, ownAddresses } from "./own-addresses.ts";

/** As Linux 6 prints it. */
const ROUTES = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        +-- 192.0.2.0/30 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 198.51.100.0
        /25 link UNICAST
        /24 host LOCAL
`;

test("what ends at this machine is its own, single addresses and ranges", () => {
  expect(localRanges(ROUTES).map(formatIpv4Range)).toEqual(["192.0.2.2/32", "198.51.100.0/24"]);
});

test.each(["", "nonsense", "   /32 host LOCAL", "  |-- ::1\n     /32 host LOCAL"])(
  "%j tells of nothing",
  (text) => {
    expect(localRanges(text)).toEqual([]);
  },
);

test("this machine has its loopback", () => {
  expect(ownAddresses().map(formatIpv4Range)).toContain("127.0.0.1/32");
});
