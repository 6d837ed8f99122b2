import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { formatIpv4, parseIpv4, parseIpv4Range, rangeSize } from "./ipv4.ts";

test("every 32-bit number survives being written and read", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xff_ff_ff_ff }), (address) => {
      expect(parseIpv4(formatIpv4(address))).toBe(address);
    }),
  );
});

test.each(["", "10", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", "1.2.3.-4"])(
  "parseIpv4() refuses %p",
  (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  },
);

test("parseIpv4Range() reads ranges of every length whose host bits are zero", () => {
  expect(parseIpv4Range("10.244.0.0/16")).toEqual({ base: 0x0a_f4_00_00, prefixLength: 16 });
  expect(parseIpv4Range("0.0.0.0/0")).toEqual({ base: 0, prefixLength: 0 });
  expect(parseIpv4Range("192.168.1.7/32")).toEqual({ base: 0xc0_a8_01_07, prefixLength: 32 });
  expect(rangeSize({ base: 0, prefixLength: 24 })).toBe(256);
});

test.each([
  "10.244.0.1/16",
  "10.244.0.0",
  "10.244.0.0/33",
  "10.244.0.0/016",
  "10.244.0.0/16/1",
  "/16",
  "x/8",
])("parseIpv4Range() refuses %p", (text) => {
  expect(parseIpv4Range(text)).toBeUndefined();
});
