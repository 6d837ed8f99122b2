/** The times that web servers and syslog write: with names of months, and some without a year. */
import type { Clock } from "../../../kernel/clock.ts";
import { readNumericOffset } from "./iso-time.ts";
import { digitsAt, fourDigits, isOnCalendar, rfc3339, twoDigits, wallSecondsOf } from "./time.ts";
import type { OffsetAt, TimeReader, WallTime } from "./time.ts";

export const MONTHS: readonly string[] = [
  "jan",
  "feb",
  "mar",
  "apr",
  "may",
  "jun",
  "jul",
  "aug",
  "sep",
  "oct",
  "nov",
  "dec",
];
/** A leap day finds its year within this many, also around 1900 and 2100. */
const YEARS_AROUND = 8;
/** How long an answer without a year may be remembered, milliseconds. */
const REMEMBERED_MS = 3_600_000;

/** Reads `21/Nov/2026:09:48:00 +0000`, as access logs have it. */
export const commonTime: TimeReader = (text) => {
  if (text[2] !== "/" || text[6] !== "/" || text[11] !== ":" || text[14] !== ":" || text[17] !== ":") {
    return undefined;
  }
  const offset = text[20] === " " ? readNumericOffset(text.slice(21)) : undefined;
  if (offset === undefined) return undefined;
  const day = { year: fourDigits(text, 7), month: monthAt(text, 3), day: twoDigits(text, 0) };
  const time = { hour: twoDigits(text, 12), minute: twoDigits(text, 15), second: twoDigits(text, 18) };
  return rfc3339({ ...day, ...time, fraction: "" }, offset);
};

/** Reads `Sat Nov 21 09:48:00.123456 2026`, as Apache's error log has it. */
export function apacheTime(zone: OffsetAt): TimeReader {
  return (text) => {
    const digits = text[19] === "." ? digitsAt(text, 20) : 0;
    const yearAt = digits === 0 ? 20 : 21 + digits;
    if (text[3] !== " " || text[yearAt - 1] !== " " || text.length !== yearAt + 4) return undefined;
    const wall = monthDayTime(text.slice(4), text.slice(20, 20 + digits));
    return wall === undefined ? undefined : rfc3339({ ...wall, year: fourDigits(text, yearAt) }, zone);
  };
}

/** Reads `Nov 21 09:48:00` and `Nov  1 09:48:00.123` (RFC 3164), which say no year: the one that brings it nearest to now. */
export function syslogTime(zone: OffsetAt, clock: Pick<Clock, "now">): TimeReader {
  let lastText: string | undefined;
  let lastTime: string | undefined;
  let readAt = 0;
  return (text) => {
    const now = clock.now();
    if (text === lastText && Math.abs(now - readAt) < REMEMBERED_MS) return lastTime;
    lastText = text;
    readAt = now;
    const digits = text[15] === "." ? digitsAt(text, 16) : 0;
    const wall = monthDayTime(text, text.slice(16, 16 + digits));
    const isWhole = text.length === (digits === 0 ? 15 : 16 + digits);
    lastTime = wall === undefined || !isWhole ? undefined : nearestYear(wall, zone, now);
    return lastTime;
  };
}

/** RFC 3339 in the year that brings the time nearest to `now` (Unix milliseconds). */
export function nearestYear(
  wall: Omit<WallTime, "year">,
  zone: number | OffsetAt,
  now: number,
): string | undefined {
  const thisYear = new Date(now).getUTCFullYear();
  let nearest: WallTime | undefined;
  let least = Number.POSITIVE_INFINITY;
  const consider = (year: number): void => {
    const candidate = { ...wall, year };
    const distance = Math.abs(wallSecondsOf(candidate) * 1_000 - now);
    if (distance >= least || !isOnCalendar(candidate)) return;
    nearest = candidate;
    least = distance;
  };
  consider(thisYear);
  for (let away = 1; away <= YEARS_AROUND; away++) {
    consider(thisYear - away);
    consider(thisYear + away);
    if (nearest !== undefined) break;
  }
  return nearest === undefined ? undefined : rfc3339(nearest, zone);
}

/** 1 to 12 for `Jan` to `Dec`, in any case; NaN for anything else. */
export function monthAt(text: string, at: number): number {
  const index = MONTHS.indexOf(text.slice(at, at + 3).toLowerCase());
  return index < 0 ? Number.NaN : index + 1;
}

/** `Nov 21 09:48:00`, where a space may stand for the first digit of the day. */
function monthDayTime(text: string, fraction: string): Omit<WallTime, "year"> | undefined {
  if (text[3] !== " " || text[6] !== " " || text[9] !== ":" || text[12] !== ":") return undefined;
  const day = text[4] === " " ? twoDigits(`0${text[5]}`, 0) : twoDigits(text, 4);
  const time = { hour: twoDigits(text, 7), minute: twoDigits(text, 10), second: twoDigits(text, 13) };
  return { month: monthAt(text, 0), day, ...time, fraction };
}
