/** Times in a form that a user describes, with the directives of strftime. Compiled once, read without regular expressions. */
import type { Clock } from "../../../kernel/clock.ts";
import { readNumericOffset } from "./iso-time.ts";
import { monthAt, nearestYear } from "./log-times.ts";
import { digitsAt, rfc3339, rfc3339OfUnix, wallSecondsOf } from "./time.ts";
import type { OffsetAt, TimeReader } from "./time.ts";

/** What has been read so far. */
interface Draft {
  year: number | undefined;
  month: number;
  day: number;
  dayOfYear: number | undefined;
  hour: number;
  minute: number;
  second: number;
  fraction: string;
  isAfternoon: boolean | undefined;
  offset: number | undefined;
  unix: number | undefined;
}

/** Reads at a place and tells where it ended; -1 where the text is something else. */
type Step = (text: string, at: number, draft: Draft) => number;

/** Zones that RFC 2822 names, and those whose names mean one thing. Hours east of UTC. */
const ZONE_HOURS: Readonly<Record<string, number>> = {
  UTC: 0,
  GMT: 0,
  Z: 0,
  EST: -5,
  EDT: -4,
  CST: -6,
  CDT: -5,
  MST: -7,
  MDT: -6,
  PST: -8,
  PDT: -7,
  WET: 0,
  WEST: 1,
  CET: 1,
  CEST: 2,
  EET: 2,
  EEST: 3,
  MSK: 3,
  JST: 9,
  KST: 9,
  AEST: 10,
  AEDT: 11,
  NZST: 12,
  NZDT: 13,
};

const DIRECTIVES: Readonly<Record<string, Step>> = {
  Y: number(4, 4, (draft, year) => (draft.year = year)),
  // As POSIX has it: 69 to 99 are of the twentieth century.
  y: number(2, 2, (draft, year) => (draft.year = year < 69 ? 2_000 + year : 1_900 + year)),
  m: number(1, 2, (draft, month) => (draft.month = month)),
  d: number(1, 2, (draft, day) => (draft.day = day)),
  e: spaced(number(1, 2, (draft, day) => (draft.day = day))),
  j: number(1, 3, (draft, day) => (draft.dayOfYear = day)),
  H: number(1, 2, (draft, hour) => (draft.hour = hour)),
  k: spaced(number(1, 2, (draft, hour) => (draft.hour = hour))),
  I: number(1, 2, (draft, hour) => (draft.hour = hour >= 1 && hour <= 12 ? hour % 12 : Number.NaN)),
  l: spaced(number(1, 2, (draft, hour) => (draft.hour = hour >= 1 && hour <= 12 ? hour % 12 : Number.NaN))),
  M: number(1, 2, (draft, minute) => (draft.minute = minute)),
  S: number(1, 2, (draft, second) => (draft.second = second)),
  s: number(1, 12, (draft, seconds) => (draft.unix = seconds)),
  L: readFraction,
  f: readFraction,
  N: readFraction,
  b: readMonth,
  B: readMonth,
  h: readMonth,
  a: (text, at) => skipLetters(text, at),
  A: (text, at) => skipLetters(text, at),
  p: readHalf,
  z: readZone,
  Z: readZoneName,
  "%": literal("%"),
};

const SHORTHANDS: Readonly<Record<string, string>> = {
  T: "%H:%M:%S",
  R: "%H:%M",
  F: "%Y-%m-%d",
  D: "%m/%d/%y",
};

/** Why a pattern cannot be used, as a sentence; undefined when it can. */
export function patternTrouble(pattern: string): string | undefined {
  const names = [...expand(pattern).matchAll(/%(.?)/gs)].map(([, name = ""]) => name);
  const unknown = names.find((name) => !Object.hasOwn(DIRECTIVES, name));
  const known = [...Object.keys(DIRECTIVES), ...Object.keys(SHORTHANDS)].map((name) => `%${name}`).join(" ");
  if (unknown !== undefined) return `The directive "%${unknown}" is not known; known ones: ${known}`;
  const has = (...wanted: readonly string[]) => wanted.some((name) => names.includes(name));
  if (has("s") || (has("j") && has("Y", "y")) || (has("m", "b", "B", "h") && has("d", "e"))) return undefined;
  return "The pattern has no day: it needs %m or %b with %d, %j with %Y, or %s";
}

/**
 * Reads texts of that form; spaces in the pattern stand for one or more. Without zone `zone` is meant, without year the one that
 * brings it nearest to now. Expects a pattern that `patternTrouble` finds nothing against.
 */
export function patternTime(pattern: string, zone: OffsetAt, clock: Pick<Clock, "now">): TimeReader {
  const steps = stepsOf(expand(pattern));
  return (text) => {
    const draft = emptyDraft();
    let at = 0;
    for (const step of steps) {
      at = step(text, at, draft);
      if (at < 0) return undefined;
    }
    return at === text.length ? finish(draft, zone, clock) : undefined;
  };
}

function finish(draft: Draft, zone: OffsetAt, clock: Pick<Clock, "now">): string | undefined {
  const { unix, fraction, year, dayOfYear, isAfternoon } = draft;
  if (unix !== undefined) return rfc3339OfUnix(unix, fraction);
  const hour = draft.hour + (isAfternoon === true ? 12 : 0);
  const offset = draft.offset ?? zone;
  if (year === undefined) return nearestYear({ ...draft, hour }, offset, clock.now());
  if (dayOfYear === undefined) return rfc3339({ ...draft, year, hour }, offset);
  const newYear = wallSecondsOf({ ...draft, year, month: 1, day: 1 });
  const date = new Date((newYear + (dayOfYear - 1) * 86_400) * 1_000);
  if (date.getUTCFullYear() !== year) return undefined;
  return rfc3339({ ...draft, year, month: date.getUTCMonth() + 1, day: date.getUTCDate(), hour }, offset);
}

function emptyDraft(): Draft {
  const day = { year: undefined, month: 1, day: 1, dayOfYear: undefined };
  const time = { hour: 0, minute: 0, second: 0, fraction: "", isAfternoon: undefined };
  return { ...day, ...time, offset: undefined, unix: undefined };
}

function expand(pattern: string): string {
  return pattern.replaceAll(/%(.)/gs, (directive, name: string) => SHORTHANDS[name] ?? directive);
}

function stepsOf(pattern: string): readonly Step[] {
  return [...pattern.matchAll(/%(.)|(\s+)|([^%\s]+)/gs)].flatMap(([, name, spaces, plain]) => {
    if (spaces !== undefined) return [skipSpaces];
    const step = name === undefined ? literal(plain ?? "") : DIRECTIVES[name];
    return step === undefined ? [] : [step];
  });
}

function number(least: number, most: number, take: (draft: Draft, value: number) => void): Step {
  return (text, at, draft) => {
    const length = Math.min(digitsAt(text, at), most);
    if (length < least) return -1;
    take(draft, Number(text.slice(at, at + length)));
    return at + length;
  };
}

function spaced(step: Step): Step {
  return (text, at, draft) => step(text, text[at] === " " ? at + 1 : at, draft);
}

function literal(plain: string): Step {
  return (text, at) => (text.startsWith(plain, at) ? at + plain.length : -1);
}

function skipSpaces(text: string, at: number): number {
  let end = at;
  while (text[end] === " " || text[end] === "\t") end++;
  return end === at ? -1 : end;
}

function skipLetters(text: string, at: number): number {
  let end = at;
  while (/[A-Za-z]/.test(text[end] ?? "")) end++;
  return end === at ? -1 : end;
}

function readFraction(text: string, at: number, draft: Draft): number {
  const length = digitsAt(text, at);
  draft.fraction = text.slice(at, at + length);
  return length === 0 ? -1 : at + length;
}

function readMonth(text: string, at: number, draft: Draft): number {
  draft.month = monthAt(text, at);
  return Number.isNaN(draft.month) ? -1 : skipLetters(text, at);
}

function readHalf(text: string, at: number, draft: Draft): number {
  const half = text.slice(at, at + 2).toUpperCase();
  if (half !== "AM" && half !== "PM") return -1;
  draft.isAfternoon = half === "PM";
  return at + 2;
}

function readZone(text: string, at: number, draft: Draft): number {
  if (text[at] === "Z") {
    draft.offset = 0;
    return at + 1;
  }
  for (const length of [6, 5, 3]) {
    const offset = readNumericOffset(text.slice(at, at + length));
    if (offset === undefined || text.length < at + length) continue;
    draft.offset = offset;
    return at + length;
  }
  return -1;
}

function readZoneName(text: string, at: number, draft: Draft): number {
  const end = skipLetters(text, at);
  const name = text.slice(at, Math.max(end, at));
  if (!Object.hasOwn(ZONE_HOURS, name)) return -1;
  draft.offset = (ZONE_HOURS[name] ?? 0) * 3_600;
  return end;
}
