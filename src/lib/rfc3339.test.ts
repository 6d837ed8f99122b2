import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { epochNanos, utcMicros } from "./rfc3339.ts";

describe("epochNanos()", () => {
  test.each([
    ["2026-11-21T09:48:56Z", "1795254536000000000"],
    ["2026-11-21T09:48:56.5Z", "1795254536500000000"],
    ["2026-11-21T09:48:56.123456789Z", "1795254536123456789"],
    ["2026-11-21T09:48:56.1234567899Z", "1795254536123456789"],
    ["2026-11-21T10:48:56.25+01:00", "1795254536250000000"],
    ["2026-11-21T04:18:56-05:30", "1795254536000000000"],
    ["2026-11-21t09:48:56z", "1795254536000000000"],
    ["2026-11-21 09:48:56Z", "1795254536000000000"],
    ["1970-01-01T00:00:00Z", "0"],
    ["1970-01-01T00:00:00.000000007Z", "7"],
    ["1969-12-31T23:59:59.9Z", "-100000000"],
    // RFC 3339 section 5.7: a leap second.
    ["2016-12-31T23:59:60.5Z", "1483228799500000000"],
  ])("%s is %s", (time, nanos) => {
    expect(epochNanos(time)).toBe(nanos);
  });

  test.each([
    "",
    "now",
    "2026-11-21",
    "2026-11-21T09:48:56",
    "2026-11-21T09:48:5xZ",
    "2026-11-21T09:48:56.Z",
    "2026-11-21T09:48:56.1x3Z",
    "2026-02-30T00:00:00Z",
    "2026-11-21T24:48:56Z",
    "2026-11-21T09:48:61Z",
    "2026-11-21T09:48:56+0100",
  ])("is undefined for %p", (time) => {
    // With the minute known, and without.
    expect([epochNanos("2026-11-21T09:48:56Z"), epochNanos(time), epochNanos(time)]).toEqual([
      "1795254536000000000",
      undefined,
      undefined,
    ]);
  });

  test("agrees with Date for every millisecond and zone, in any order", () => {
    const zone = fc.integer({ min: -14 * 60, max: 14 * 60 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4e12 }), zone, (ms, offset) => {
        const local = new Date(ms + offset * 60_000).toISOString().slice(0, -1);
        const size = Math.abs(offset);
        const hours = String(Math.floor(size / 60)).padStart(2, "0");
        const text = `${local}${offset < 0 ? "-" : "+"}${hours}:${String(size % 60).padStart(2, "0")}`;
        expect(epochNanos(text)).toBe(String(BigInt(ms) * 1_000_000n));
        expect(epochNanos(new Date(ms).toISOString())).toBe(String(BigInt(ms) * 1_000_000n));
      }),
    );
  });
});

test("utcMicros() gives six digits in UTC", () => {
  expect(utcMicros("2026-11-21T10:48:56.123456789+01:00")).toBe("2026-11-21T09:48:56.123456Z");
  expect(utcMicros("2026-11-21T10:48:56Z")).toBe("2026-11-21T10:48:56.000000Z");
  expect(utcMicros("yesterday")).toBeUndefined();
});
