import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { apacheTime } from "./log-times.ts";
import { patternTrouble } from "./time-pattern.ts";
import { TIME_FORMATS, timeReaderOf } from "./time-reader.ts";
import { epochNanos } from "../../../lib/rfc3339.ts";
import { zoneOf } from "./zone.ts";

const NOW = Date.UTC(2026, 10, 21, 9, 48);
const BERLIN = zoneOf("Europe/Berlin");

function read(format: string, text: string, now = NOW): string | undefined {
  return timeReaderOf(format, { zone: BERLIN, clock: new ManualClock(now) })(text);
}

describe("auto", () => {
  test.each<[string, string | undefined]>([
    ["2026-11-21T09:48:00Z", "2026-11-21T09:48:00Z"],
    ["2026-11-21t09:48:00.123456789z", "2026-11-21T09:48:00.123456789Z"],
    ["2026-11-21 09:48:00,123", "2026-11-21T09:48:00.123+01:00"],
    ["2026-11-21 09:48:00.5 +0200", "2026-11-21T09:48:00.5+02:00"],
    ["2026-11-21T09:48:00-07", "2026-11-21T09:48:00-07:00"],
    ["2026-11-21 09:48:00 UTC", "2026-11-21T09:48:00Z"],
    ["2026-11-21T09:48", "2026-11-21T09:48:00+01:00"],
    ["2026/11/21 09:48:00", "2026-11-21T09:48:00+01:00"],
    ["2026/11/21 09:48:00.123456", "2026-11-21T09:48:00.123456+01:00"],
    ["2026-11-21T09:48:00-00:00", "2026-11-21T09:48:00Z"],
    ["2026-11-21T09:48:00.1234567891Z", "2026-11-21T09:48:00.123456789Z"],
    ["1795254480", "2026-11-21T09:48:00Z"],
    ["1795254480.25", "2026-11-21T09:48:00.25Z"],
    ["1795254480123", "2026-11-21T09:48:00.123Z"],
    ["1795254480123456", "2026-11-21T09:48:00.123456Z"],
    ["1795254480123456789", "2026-11-21T09:48:00.123456789Z"],
    ["21/Nov/2026:09:48:00 -0700", "2026-11-21T09:48:00-07:00"],
    ["Nov 21 09:48:00", "2026-11-21T09:48:00+01:00"],
    ["2026-02-30T00:00:00Z", undefined],
    ["2026-11-21T24:00:00Z", undefined],
    ["2026-11-21T09:48:00.Z", undefined],
    ["2026-11-21T09:48:00+25:00", undefined],
    ["2026-11-21T09:48:00 Europe", undefined],
    ["2026-11/21 09:48:00", undefined],
    ["2026-11-21", undefined],
    ["0.005", undefined],
    ["42", undefined],
    ["-1795254480", undefined],
    ["soon", undefined],
    ["", undefined],
  ])("%j is %p", (text, expected) => {
    expect(read("auto", text)).toBe(expected as never);
  });
});

describe("other formats", () => {
  test.each<[string, string, string | undefined]>([
    ["unix", "0", "1970-01-01T00:00:00Z"],
    ["unix", "-0.25", "1969-12-31T23:59:59.75Z"],
    ["unix", "1e9", undefined],
    ["unix_ms", "5", "1970-01-01T00:00:00.005Z"],
    ["unix_ms", "1795254480123.5", "2026-11-21T09:48:00.1235Z"],
    ["unix_us", "1795254480123456", "2026-11-21T09:48:00.123456Z"],
    ["unix_ns", "1795254480123456789", "2026-11-21T09:48:00.123456789Z"],
    ["unix", "999999999999999", undefined],
    ["common", "21/Nov/2026:09:48:00 +0000", "2026-11-21T09:48:00Z"],
    ["common", "31/Feb/2026:09:48:00 +0000", undefined],
    ["common", "21/Nov/2026:09:48:00", undefined],
    ["rfc3339", "1795254480", undefined],
  ])("%s reads %j as %p", (format, text, expected) => {
    expect(read(format, text)).toBe(expected as never);
  });

  test.each<[string, string, string | undefined]>([
    ["%d.%m.%Y %H:%M:%S", "21.11.2026 09:48:00", "2026-11-21T09:48:00+01:00"],
    ["%d.%m.%Y %H:%M:%S", "21.11.2026 09:48:00 x", undefined],
    ["%Y%m%dT%H%M%S.%f%z", "20261121T094800.125-0700", "2026-11-21T09:48:00.125-07:00"],
    ["%a, %d %b %Y %T %Z", "Sat, 21 Nov 2026 09:48:00 GMT", "2026-11-21T09:48:00Z"],
    ["%A %B %e %Y %I:%M %p", "Saturday November  1 2026 12:05 am", "2026-11-01T00:05:00+01:00"],
    ["%F %I:%M:%S %p", "2026-11-21 12:05:00 PM", "2026-11-21T12:05:00+01:00"],
    ["%F %I:%M", "2026-11-21 13:05", undefined],
    ["%m/%d/%y %R", "11/21/26 09:48", "2026-11-21T09:48:00+01:00"],
    ["%m/%d/%y %R", "11/21/99 09:48", "1999-11-21T09:48:00+01:00"],
    ["%Y.%j %H", "2024.366 05", "2024-12-31T05:00:00+01:00"],
    ["%Y.%j %H", "2026.366 05", undefined],
    ["%s.%L", "1795254480.123", "2026-11-21T09:48:00.123Z"],
    ["%m%d %T.%f", "1121 09:48:00.000001", "2026-11-21T09:48:00.000001+01:00"],
    ["%b %d %T", "Feb 29 00:00:00", "2028-02-29T00:00:00+01:00"],
    ["[%F %T%z]", "[2026-11-21 09:48:00+02:00]", "2026-11-21T09:48:00+02:00"],
    ["%F %T %Z", "2026-11-21 09:48:00 CEST", "2026-11-21T09:48:00+02:00"],
    ["%F %T %Z", "2026-11-21 09:48:00 IST", undefined],
    ["100%% %F", "100% 2026-11-21", "2026-11-21T00:00:00+01:00"],
    ["%F  %T", "2026-11-21 \t 09:48:00", "2026-11-21T09:48:00+01:00"],
  ])("%s reads %j as %p", (pattern, text, expected) => {
    expect(patternTrouble(pattern)).toBeUndefined();
    expect(read(pattern, text)).toBe(expected as never);
  });

  test.each([
    ["%H:%M", "The pattern has no day: it needs %m or %b with %d, %j with %Y, or %s"],
    ["%Q %F", 'The directive "%Q" is not known'],
    ["%F %", 'The directive "%" is not known'],
    ["%__proto__ %F", 'The directive "%_" is not known'],
  ])("%s is refused", (pattern, trouble) => {
    expect(patternTrouble(pattern)).toStartWith(trouble);
  });

  test.each<[string, string | undefined]>([
    ["Sat Nov 21 09:48:00.123456 2026", "2026-11-21T09:48:00.123456+01:00"],
    ["Sun Nov  1 09:48:00 2026", "2026-11-01T09:48:00+01:00"],
    ["Sat Nov 21 09:48:00 26", undefined],
    ["Sat Nev 21 09:48:00 2026", undefined],
  ])("Apache's %j is %p", (text, expected) => {
    expect(apacheTime(BERLIN)(text)).toBe(expected as never);
  });
});

describe("a time without a year", () => {
  test.each([
    ["Dec 31 23:59:59", Date.UTC(2027, 0, 1), "2026-12-31T23:59:59+01:00"],
    ["Jan  1 00:00:01", Date.UTC(2026, 11, 31, 23), "2027-01-01T00:00:01+01:00"],
    ["Jun 15 12:00:00", Date.UTC(2026, 0, 2), "2026-06-15T12:00:00+02:00"],
    ["Feb 29 12:00:00.5", Date.UTC(2027, 5), "2028-02-29T12:00:00.5+01:00"],
    ["Feb 29 12:00:00", Date.UTC(2099, 11), "2096-02-29T12:00:00+01:00"],
  ])("%s is of the year nearest to now", (text, now, expected) => {
    expect(read("syslog", text, now)).toBe(expected);
  });

  test("is read anew when the clock has moved on", () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1));
    const syslog = timeReaderOf("syslog", { zone: zoneOf("UTC"), clock });
    expect(syslog("Jan  1 00:00:00")).toBe("2026-01-01T00:00:00Z");
    clock.jump(365 * 86_400_000);
    expect(syslog("Jan  1 00:00:00")).toBe("2027-01-01T00:00:00Z");
  });
});

describe("whatever a text is", () => {
  const moment = fc.date({
    min: new Date(Date.UTC(1)),
    max: new Date(Date.UTC(9999, 11)),
    noInvalidDate: true,
  });
  const fragment = fc.constantFrom(
    "2026-11-21",
    "T",
    " ",
    "09:48:00",
    ".5",
    ",",
    "Z",
    "+0200",
    "Nov 21 ",
    "21/Nov/2026:",
    "17952",
  );
  const anything = fc.oneof(
    fc.string(),
    fc.array(fragment, { maxLength: 6 }).map((parts) => parts.join("")),
    moment.map((date) => date.toISOString()),
    fc.bigInt(0n, 10n ** 20n).map(String),
  );

  test.each([...TIME_FORMATS, "%Y-%m-%d %H:%M:%S.%f %z", "%b %e %T", "%s"])(
    "%s does not throw, and what it reads is read again as the same moment and text",
    (format) => {
      const again = timeReaderOf("rfc3339", { zone: BERLIN, clock: new ManualClock(NOW) });
      const reader = timeReaderOf(format, { zone: BERLIN, clock: new ManualClock(NOW) });
      fc.assert(
        fc.property(anything, (text) => {
          const time = reader(text);
          expect(reader(text)).toBe(time as never);
          if (time === undefined) return;
          expect(again(time)).toBe(time);
          expect(epochNanos(time)).toMatch(/^-?\d+$/);
        }),
      );
    },
  );
});
