/** When a CronJob is due: the schedules of robfig/cron v3 (`ParseStandard`), which Kubernetes uses. */
import { parseGoDuration } from "./go-duration.ts";
import { goQuote } from "./go-format.ts";
import { isTimeZone } from "./time-zone.ts";

export interface CronField {
  readonly values: ReadonlySet<number>;
  /** Whether the field stands for "any": then the other field for days decides alone. */
  readonly isAny: boolean;
}

export type Schedule =
  | { readonly kind: "every"; readonly delayMs: number }
  | {
      readonly kind: "fields";
      readonly minute: CronField;
      readonly hour: CronField;
      readonly day: CronField;
      readonly month: CronField;
      readonly weekday: CronField;
      /** From a `TZ=` or `CRON_TZ=` in front. */
      readonly zone?: string;
    };

export type ParsedSchedule =
  | { readonly ok: true; readonly schedule: Schedule }
  /** In upstream's words. */
  | { readonly ok: false; readonly why: string };

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const BOUNDS = {
  minute: { min: 0, max: 59, names: [] },
  hour: { min: 0, max: 23, names: [] },
  day: { min: 1, max: 31, names: [] },
  month: { min: 1, max: 12, names: MONTHS },
  weekday: { min: 0, max: 6, names: WEEKDAYS },
} satisfies Record<string, Bounds>;
const DESCRIPTORS: ReadonlyMap<string, string> = new Map([
  ["@yearly", "0 0 1 1 *"],
  ["@annually", "0 0 1 1 *"],
  ["@monthly", "0 0 1 * *"],
  ["@weekly", "0 0 * * 0"],
  ["@daily", "0 0 * * *"],
  ["@midnight", "0 0 * * *"],
  ["@hourly", "0 * * * *"],
]);
const EVERY = "@every ";
const SECOND_MS = 1_000;

class BadSchedule extends Error {}

export function parseSchedule(text: string): ParsedSchedule {
  try {
    return { ok: true, schedule: parse(text) };
  } catch (error) {
    if (error instanceof BadSchedule) return { ok: false, why: error.message };
    throw error;
  }
}

function parse(text: string): Schedule {
  if (text === "") throw new BadSchedule("empty spec string");
  const zoned = /^(?:CRON_)?TZ=(\S*)\s*(.*)$/s.exec(text);
  if (zoned === null) return parseBody(text);
  const [, zone = "", body = ""] = zoned;
  if (!isTimeZone(zone)) {
    throw new BadSchedule(`provided bad location ${zone}: unknown time zone ${zone}`);
  }
  const schedule = parseBody(body.trim());
  return schedule.kind === "fields" ? { ...schedule, zone } : schedule;
}

function parseBody(text: string): Schedule {
  if (!text.startsWith("@")) return parseFields(text);
  const fields = DESCRIPTORS.get(text);
  if (fields !== undefined) return parseFields(fields);
  if (!text.startsWith(EVERY)) throw new BadSchedule(`unrecognized descriptor: ${text}`);
  const written = text.slice(EVERY.length);
  const delayMs = parseGoDuration(written);
  if (delayMs === undefined) {
    throw new BadSchedule(`failed to parse duration ${text}: time: invalid duration ${goQuote(written)}`);
  }
  return { kind: "every", delayMs: Math.max(SECOND_MS, Math.floor(delayMs / SECOND_MS) * SECOND_MS) };
}

function parseFields(text: string): Schedule {
  const fields = text.split(/\s+/).filter((field) => field !== "");
  if (fields.length !== 5) {
    const found = `found ${fields.length}: [${fields.join(" ")}]`;
    throw new BadSchedule(`expected exactly 5 fields, ${found}`);
  }
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
  return {
    kind: "fields",
    minute: parseField(minute, BOUNDS.minute),
    hour: parseField(hour, BOUNDS.hour),
    day: parseField(day, BOUNDS.day),
    month: parseField(month, BOUNDS.month),
    weekday: parseField(weekday, BOUNDS.weekday),
  };
}

function parseField(text: string, bounds: Bounds): CronField {
  const values = new Set<number>();
  let isAny = false;
  for (const item of text.split(",")) {
    if (item === "") continue;
    const { start, end, step, hasStar } = parseRange(item, bounds);
    for (let value = start; value <= end; value += step) values.add(value);
    isAny ||= hasStar && step === 1;
  }
  return { values, isAny };
}

interface Range {
  readonly start: number;
  readonly end: number;
  readonly step: number;
  readonly hasStar: boolean;
}

/** `getRange`. `5/15` means `5-59/15`. */
function parseRange(item: string, bounds: Bounds): Range {
  const [limits = "", stepText, ...moreSlashes] = item.split("/");
  const [low = "", high, ...moreHyphens] = limits.split("-");
  const hasStar = low === "*" || low === "?";
  if (!hasStar && moreHyphens.length > 0) throw new BadSchedule(`too many hyphens: ${item}`);
  const start = hasStar ? bounds.min : parseNumberOrName(low, bounds);
  const last = hasStar ? bounds.max : high === undefined ? start : parseNumberOrName(high, bounds);
  if (moreSlashes.length > 0) throw new BadSchedule(`too many slashes: ${item}`);
  const step = stepText === undefined ? 1 : parseNumber(stepText);
  const end = stepText !== undefined && high === undefined ? bounds.max : last;
  const { min, max } = bounds;
  if (start < min) throw new BadSchedule(`beginning of range (${start}) below minimum (${min}): ${item}`);
  if (end > max) throw new BadSchedule(`end of range (${end}) above maximum (${max}): ${item}`);
  if (start > end) {
    throw new BadSchedule(`beginning of range (${start}) beyond end of range (${end}): ${item}`);
  }
  if (step === 0) throw new BadSchedule(`step of range should be a positive number: ${item}`);
  return { start, end, step, hasStar };
}

function parseNumberOrName(text: string, { names, min }: Bounds): number {
  const named = names.indexOf(text.toLowerCase());
  return named < 0 ? parseNumber(text) : named + min;
}

function parseNumber(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) {
    throw new BadSchedule(
      `failed to parse int from ${text}: strconv.Atoi: parsing ${goQuote(text)}: invalid syntax`,
    );
  }
  const number = Number(text);
  if (number < 0) throw new BadSchedule(`negative number (${number}) not allowed: ${text}`);
  return number;
}
