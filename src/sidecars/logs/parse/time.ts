/** Moments as RFC 3339 text: built from the parts that log formats write, and counted in nanoseconds for sinks. */

/** What a clock on the wall says. Month and day count from 1. */
export interface WallTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** Digits behind the second, without the dot; may be empty. What goes beyond nine is cut off. */
  readonly fraction: string;
}

/** Seconds east of UTC at a wall time, which is given as the seconds since the epoch that it would be in UTC. */
export type OffsetAt = (wallSeconds: number) => number;

/** Reads a time stamp of one kind as RFC 3339 with zone; undefined where the text is none. Never throws. */
export type TimeReader = (text: string) => string | undefined;

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** The first and last second that RFC 3339 can write: years 0 to 9999. */
const FIRST_SECOND = -62_167_219_200;
const LAST_SECOND = 253_402_300_799;
const NANO_DIGITS = 9;
const PADDED = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, "0"));

/** RFC 3339 for a wall time; undefined where there is no such day or hour. A leap second counts as the second before it. */
export function rfc3339(wall: WallTime, offset: number | OffsetAt): string | undefined {
  if (!isOnCalendar(wall)) return undefined;
  const second = Math.min(wall.second, 59);
  const east = typeof offset === "number" ? offset : offset(wallSecondsOf(wall));
  // Local mean times of old had offsets with seconds, which RFC 3339 cannot write.
  if (east % 60 !== 0) return rfc3339OfUnix(wallSecondsOf(wall) - east, wall.fraction);
  const date = `${String(wall.year).padStart(4, "0")}-${two(wall.month)}-${two(wall.day)}`;
  const time = `${two(wall.hour)}:${two(wall.minute)}:${two(second)}`;
  return `${date}T${time}${dotted(wall.fraction)}${zoneText(east)}`;
}

let lastUnix = Number.NaN;
let lastUnixText = "";

/** RFC 3339 in UTC for seconds since the epoch and the digits behind them; undefined beyond the years 0 to 9999. */
export function rfc3339OfUnix(seconds: number, fraction: string): string | undefined {
  if (!(seconds >= FIRST_SECOND && seconds <= LAST_SECOND)) return undefined;
  if (seconds !== lastUnix) {
    lastUnixText = new Date(seconds * 1_000).toISOString().slice(0, 19);
    lastUnix = seconds;
  }
  return `${lastUnixText}${dotted(fraction)}Z`;
}

/** Seconds since the epoch, as if the wall time were UTC. A leap second counts as the second before it. */
export function wallSecondsOf({ year, month, day, hour, minute, second }: WallTime): number {
  return daysBefore(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + Math.min(second, 59);
}

/** Whether there is such a day and such a time of day. 24:00 is not one. */
export function isOnCalendar({ year, month, day, hour, minute, second }: WallTime): boolean {
  return (
    year >= 0 &&
    year <= 9_999 &&
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= daysIn(year, month) &&
    hour >= 0 &&
    hour <= 23 &&
    minute >= 0 &&
    minute <= 59 &&
    second >= 0 &&
    second <= 60
  );
}

/** Two digits at a place of a text as a number; NaN where there are none. */
export function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

/** Four digits likewise. */
export function fourDigits(text: string, at: number): number {
  return twoDigits(text, at) * 100 + twoDigits(text, at + 2);
}

/** How many digits stand there in a row. */
export function digitsAt(text: string, at: number): number {
  let end = at;
  for (let code = text.charCodeAt(end); code >= 48 && code <= 57; code = text.charCodeAt(end)) end++;
  return end - at;
}

/** Answers a text that is asked for twice in a row from memory: many lines are written within one second. */
export function rememberLast(read: TimeReader): TimeReader {
  let lastText: string | undefined;
  let lastTime: string | undefined;
  return (text) => {
    if (text === lastText) return lastTime;
    lastTime = read(text);
    lastText = text;
    return lastTime;
  };
}

function two(number: number): string {
  return PADDED[number] ?? "";
}

function dotted(fraction: string): string {
  return fraction === "" ? "" : `.${fraction.slice(0, NANO_DIGITS)}`;
}

function zoneText(east: number): string {
  if (east === 0) return "Z";
  const minutes = Math.abs(east) / 60;
  return `${east < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && isLeap ? 29 : (DAYS[month - 1] ?? 0);
}

/** Days between 1970-01-01 and a day of the Gregorian calendar, by counting years from March so that leap days come last. */
function daysBefore(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const leapDays = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400);
  return shifted * 365 + leapDays + dayOfYear - 719_468;
}
