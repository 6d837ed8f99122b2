import { describe, expect, test } from "bun:test";
import { isoTime } from "./iso-time.ts";
import { epochNanos } from "../../../lib/rfc3339.ts";
import { isZone, zoneOf } from "./zone.ts";

function read(text: string, zone: string): string | undefined {
  return isoTime(zoneOf(zone))(text);
}

describe("a time without zone", () => {
  test.each([
    ["UTC", "2026-07-01 12:00:00", "2026-07-01T12:00:00Z"],
    ["+05:30", "2026-07-01 12:00:00", "2026-07-01T12:00:00+05:30"],
    ["-0330", "2026-07-01 12:00:00", "2026-07-01T12:00:00-03:30"],
    ["Europe/Berlin", "2026-01-01 12:00:00", "2026-01-01T12:00:00+01:00"],
    ["Europe/Berlin", "2026-07-01 12:00:00", "2026-07-01T12:00:00+02:00"],
    ["America/St_Johns", "2026-07-01 12:00:00", "2026-07-01T12:00:00-02:30"],
    ["Pacific/Kiritimati", "2026-07-01 12:00:00", "2026-07-01T12:00:00+14:00"],
    ["Africa/Monrovia", "1960-01-01 12:00:00", "1960-01-01T12:44:30Z"],
  ])("means %s: %s is %s", (zone, text, expected) => {
    expect(read(text, zone)).toBe(expected);
  });

  // Clocks in Berlin were set back from 3 to 2 on 25 October 2026, and forward from 2 to 3 on 29 March; at Lord Howe by half an hour.
  test.each([
    ["Europe/Berlin", "2026-10-25 01:59:59", "+02:00", "before clocks are set back"],
    ["Europe/Berlin", "2026-10-25 02:30:00", "+02:00", "that comes twice means the first"],
    ["Europe/Berlin", "2026-10-25 03:00:00", "+01:00", "after clocks were set back"],
    ["Europe/Berlin", "2026-03-29 01:59:59", "+01:00", "before clocks are set forward"],
    ["Europe/Berlin", "2026-03-29 02:30:00", "+01:00", "that never comes counts on from before"],
    ["Europe/Berlin", "2026-03-29 03:00:00", "+02:00", "after clocks were set forward"],
    ["Australia/Lord_Howe", "2026-04-05 01:45:00", "+11:00", "that comes twice, by half an hour"],
    ["Australia/Lord_Howe", "2026-10-04 02:15:00", "+10:30", "that never comes, by half an hour"],
    ["Pacific/Apia", "2011-12-30 12:00:00", "-10:00", "on a day that was left out"],
    ["America/New_York", "2026-11-01 01:30:00", "-04:00", "that comes twice in the west"],
  ])("%s: %s is %s, a time %s", (zone, text, offset) => {
    expect(read(text, zone)).toBe(`${text.replace(" ", "T")}${offset}`);
    // Remembered answers are the same.
    expect(read(text, zone)).toBe(`${text.replace(" ", "T")}${offset}`);
  });

  test("agrees with the platform at every quarter of an hour of two years", () => {
    const zone = "Europe/Berlin";
    const format = new Intl.DateTimeFormat("sv-SE", {
      timeZone: zone,
      dateStyle: "short",
      timeStyle: "medium",
    });
    const readBerlin = isoTime(zoneOf(zone));
    let differing = 0;
    for (let ms = Date.UTC(2025, 0); ms < Date.UTC(2027, 0); ms += 900_000) {
      const seconds = Number(epochNanos(readBerlin(format.format(ms)) ?? "")?.slice(0, -9));
      if (seconds !== ms / 1_000) differing++;
    }
    // The second of the two hours that look the same, in each of the two years.
    expect(differing).toBe(8);
  });
});

test.each([
  ["UTC", true],
  ["Europe/Berlin", true],
  ["+02:00", true],
  ["+99:00", false],
  ["Europe/Berlim", false],
  ["", false],
])("isZone(%j) is %p", (name, expected) => {
  expect(isZone(name)).toBe(expected);
});
