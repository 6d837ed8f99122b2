import { expect, test } from "bun:test";
import { derBitString, derElement, derInteger, derObjectIdentifier, derSequence, derTime } from "./der.ts";

/** X.690 and its examples; `openssl asn1parse` reads the same. */
const CASES: readonly (readonly [string, Buffer, string])[] = [
  ["an integer of 0", derInteger(Buffer.from([0, 0])), "020100"],
  ["an integer whose first bit is set, kept positive", derInteger(Buffer.from([0x80])), "02020080"],
  ["an integer without leading zeros", derInteger(Buffer.from([0, 0, 1, 2])), "02020102"],
  ["1.2.840.113549", derObjectIdentifier("1.2.840.113549"), "06062a864886f70d"],
  ["2.5.29.15", derObjectIdentifier("2.5.29.15"), "0603551d0f"],
  ["a bit string with unused bits", derBitString(Buffer.from([0x86]), 1), "03020186"],
  ["an empty sequence", derSequence(), "3000"],
  ["2049", derTime(new Date(Date.UTC(2049, 11, 31, 23, 59, 59, 999))), `170d${hex("491231235959Z")}`],
  ["2050", derTime(new Date(Date.UTC(2050, 0, 1))), `180f${hex("20500101000000Z")}`],
];

function hex(text: string): string {
  return Buffer.from(text).toString("hex");
}

test.each(CASES)("writes %s", (_, der, expected) => {
  expect(der.toString("hex")).toBe(expected);
});

test.each([
  [127, "7f"],
  [128, "8180"],
  [255, "81ff"],
  [256, "820100"],
  [65_536, "83010000"],
])("writes a length of %i", (length, expected) => {
  expect(derElement(4, Buffer.alloc(length)).subarray(1, -length).toString("hex")).toBe(expected);
});
