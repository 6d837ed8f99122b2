import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { epochNanos } from "../../../lib/rfc3339.ts";
import { rfc3339, rfc3339OfUnix, wallSecondsOf } from "./time.ts";

const noon = { year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 0, fraction: "" };

/** What the platform's own calendar says, exact to the millisecond. */
function wallOf(ms: number) {
  const date = new Date(ms);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    fraction: String(date.getUTCMilliseconds()).padStart(3, "0"),
  };
}

const years0to9999 = fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 });

describe("rfc3339()", () => {
  test.each([
    [noon, 0, "2026-11-21T12:00:00Z"],
    [noon, 19_800, "2026-11-21T12:00:00+05:30"],
    [noon, -25_200, "2026-11-21T12:00:00-07:00"],
    [{ ...noon, fraction: "25" }, 0, "2026-11-21T12:00:00.25Z"],
    [{ ...noon, fraction: "1234567899" }, 0, "2026-11-21T12:00:00.123456789Z"],
    [{ ...noon, hour: 23, minute: 59, second: 60 }, 0, "2026-11-21T23:59:59Z"],
    [{ ...noon, month: 2, day: 29 }, 0, undefined],
    [{ ...noon, year: 2024, month: 2, day: 29 }, 0, "2024-02-29T12:00:00Z"],
    [{ ...noon, year: 1900, month: 2, day: 29 }, 0, undefined],
    [{ ...noon, hour: 24 }, 0, undefined],
    [{ ...noon, second: 61 }, 0, undefined],
    [{ ...noon, month: 0 }, 0, undefined],
    [{ ...noon, day: Number.NaN }, 0, undefined],
    [{ ...noon, year: 10_000 }, 0, undefined],
  ])("%j, %d s east, is %s", (wall, east, expected) => {
    expect(rfc3339(wall, east)).toBe(expected);
  });

  test("writes UTC where an old local mean time has seconds in its offset", () => {
    expect(rfc3339({ ...noon, year: 1960 }, -2_670)).toBe("1960-11-21T12:44:30Z");
  });

  test("agrees with the platform's calendar on every day of the years 0 to 9999", () => {
    fc.assert(
      fc.property(years0to9999, (ms) => {
        const wall = wallOf(ms);
        expect(rfc3339(wall, 0)).toBe(new Date(ms).toISOString());
        expect(wallSecondsOf(wall)).toBe(Math.floor(ms / 1_000));
      }),
    );
  });
});

describe("rfc3339OfUnix()", () => {
  test.each([
    [0, "", "1970-01-01T00:00:00Z"],
    [1_795_255_680, "5", "2026-11-21T10:08:00.5Z"],
    [253_402_300_799, "", "9999-12-31T23:59:59Z"],
    [253_402_300_800, "", undefined],
    [Number.NaN, "", undefined],
  ])("%d and %j are %s", (seconds, fraction, expected) => {
    expect(rfc3339OfUnix(seconds, fraction)).toBe(expected);
  });
});

describe("epochNanos()", () => {
  test.each([
    ["1970-01-01T00:00:00Z", "0"],
    ["1970-01-01T00:00:00.000000001Z", "1"],
    ["1969-12-31T23:59:59.999999999Z", "-1"],
    ["2026-11-21T12:00:00.123456789+05:30", "1795242600123456789"],
    ["2026-11-21T12:00:00.1-07:00", "1795287600100000000"],
    ["yesterday", undefined],
    ["2026-11-21T12:00:00", undefined],
    ["", undefined],
  ])("%j is %s", (time, expected) => {
    expect(epochNanos(time)).toBe(expected);
  });

  test("is exact for every moment and offset", () => {
    const offset = fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 });
    const fraction = fc.stringMatching(/^[0-9]{0,9}$/);
    fc.assert(
      fc.property(years0to9999, offset, fraction, (ms, minutes, fraction) => {
        const time = rfc3339({ ...wallOf(ms), fraction }, minutes * 60) ?? "";
        const nanos = fraction.padEnd(9, "0");
        const seconds = Math.floor(ms / 1_000) - minutes * 60;
        expect(epochNanos(time)).toBe(String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos)));
      }),
    );
  });
});
