import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { parseSchedule, type Schedule } from "./cron-schedule.ts";
import { nextTime } from "./cron-time.ts";

const MINUTE = 60_000;

function schedule(text: string): Schedule {
  const parsed = parseSchedule(text);
  if (!parsed.ok) throw new Error(parsed.why);
  return parsed.schedule;
}

function why(text: string): string | undefined {
  const parsed = parseSchedule(text);
  return parsed.ok ? undefined : parsed.why;
}

/** The wall clock, read for every minute one by one. */
function slowNext(text: string, after: number, { zone, minutes }: { zone: string; minutes: number }) {
  const fields = text.split(" ");
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    hourCycle: "h23",
    weekday: "short",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  });
  const first = Math.floor(after / MINUTE) * MINUTE + MINUTE;
  for (let at = first; at <= first + minutes * MINUTE; at += MINUTE) {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    const weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].indexOf(parts["weekday"] ?? "");
    const [minute, hour, day, month] = ["minute", "hour", "day", "month"].map((part) => Number(parts[part]));
    const [isMinute, isHour, isDay, isMonth, isWeekday] = [minute, hour, day, month, weekday].map(
      (value, index) => fits(fields[index] ?? "", value ?? 0, [60, 24, 32, 13, 7][index] ?? 0),
    );
    const isAny = fields[2] === "*" || fields[4] === "*";
    const isDate = isAny ? isDay && isWeekday : isDay || isWeekday;
    if (isMinute && isHour && isMonth && isDate) return at;
  }
  return undefined;
}

function fits(field: string, value: number, end: number): boolean {
  return field.split(",").some((item) => {
    const [range = "", step = "1"] = item.split("/");
    const [from, to] = range === "*" ? [end === 32 || end === 13 ? 1 : 0, end] : range.split("-").map(Number);
    const last = to ?? (item.includes("/") ? end : from);
    return value >= (from ?? 0) && value <= (last ?? 0) && (value - (from ?? 0)) % Number(step) === 0;
  });
}

function field(min: number, max: number) {
  const number = fc.integer({ min, max });
  const step = fc.integer({ min: 2, max: 9 });
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant("*") },
    number.map(String),
    fc.tuple(number, number).map(([a, b]) => `${Math.min(a, b)},${Math.max(a, b)}`),
    fc.tuple(number, number).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    step.map((every) => `*/${every}`),
    fc.tuple(number, step).map(([a, every]) => `${a}/${every}`),
  );
}

/** Europe, America, half an hour, a gap at midnight, none. */
const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Africa/Cairo",
  "Asia/Kolkata",
];
/** Around each of these a zone above changes its clock. */
const CHANGES = [
  "2026-03-29T01:00:00Z",
  "2026-10-25T01:00:00Z",
  "2026-03-08T07:00:00Z",
  "2026-11-01T06:00:00Z",
  "2026-04-04T15:00:00Z",
  "2026-10-03T15:30:00Z",
  "2026-04-23T22:00:00Z",
  "2026-10-29T21:00:00Z",
  "2026-12-31T23:00:00Z",
].map((time) => Date.parse(time));

describe("nextTime()", () => {
  test("is what reading the clock every minute finds [CJ2]", () => {
    const around = fc.integer({ min: -30 * 60, max: 4 * 60 }).map((minutes) => minutes * MINUTE + 17_000);
    fc.assert(
      fc.property(
        fc.tuple(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)),
        fc.constantFrom(...ZONES),
        fc.tuple(fc.constantFrom(...CHANGES), around),
        (fields, zone, [change, offset]) => {
          const text = fields.join(" ");
          const minutes = 3 * 24 * 60;
          const after = change + offset;
          const found = nextTime(schedule(text), after, zone);
          const isNear = found !== undefined && found <= after + minutes * MINUTE;
          expect(isNear ? found : undefined).toBe(slowNext(text, after, { zone, minutes: minutes - 1 }));
        },
      ),
      { numRuns: 40 },
    );
  });

  test.each([
    ["30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00.000Z"],
    ["30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00.000Z"],
    ["0 0 29 2 *", "2026-03-01T00:00:00Z", "2028-02-28T23:00:00.000Z"],
    ["0 12 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T11:00:00.000Z"],
    ["0 12 ? * Mon-Wed", "2026-01-01T00:00:00Z", "2026-01-05T11:00:00.000Z"],
    ["@weekly", "2026-01-01T00:00:00Z", "2026-01-03T23:00:00.000Z"],
    ["@every 90s", "2026-01-01T00:00:00.400Z", "2026-01-01T00:01:30.000Z"],
    ["CRON_TZ=UTC 0 6 * * *", "2026-01-01T00:00:00Z", "2026-01-01T06:00:00.000Z"],
  ])("of %s after %s in Berlin is %s [CJ2]", (text, after, expected) => {
    const next = nextTime(schedule(text), Date.parse(after), "Europe/Berlin") ?? 0;
    expect(new Date(next).toISOString()).toBe(expected);
  });

  test("of a day that no year has is none", () => {
    expect(nextTime(schedule("59 23 31 2 *"), 0, "UTC")).toBeUndefined();
    expect(nextTime(schedule(", * * * *"), 0, "UTC")).toBeUndefined();
  });
});

describe("parseSchedule() refuses", () => {
  test.each([
    ["", "empty spec string"],
    ["* * * *", "expected exactly 5 fields, found 4: [* * * *]"],
    ["60 * * * *", "end of range (60) above maximum (59): 60"],
    ["* * 0 * *", "beginning of range (0) below minimum (1): 0"],
    ["* * * * 7", "end of range (7) above maximum (6): 7"],
    ["5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"],
    ["*/0 * * * *", "step of range should be a positive number: */0"],
    ["1-2-3 * * * *", "too many hyphens: 1-2-3"],
    ["1/2/3 * * * *", "too many slashes: 1/2/3"],
    ["x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
    ["@never", "unrecognized descriptor: @never"],
    ["@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'],
    ["TZ=Moon/Sea * * * * *", "provided bad location Moon/Sea: unknown time zone Moon/Sea"],
  ])("%p", (text, expected) => {
    expect(why(text)).toBe(expected);
  });
});
