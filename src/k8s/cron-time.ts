/** The moments of a schedule. What a zone's clock skips does not happen, what it shows twice happens twice, as with robfig/cron. */
import type { CronField, Schedule } from "./cron-schedule.ts";
import { offsetAt } from "./time-zone.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** After so many years a schedule is taken never to come due (`Next`). */
const YEARS_AHEAD = 5;
/** No zone is further from UTC. */
const FARTHEST_MS = 15 * HOUR_MS;

type Fields = Extract<Schedule, { kind: "fields" }>;

/** The first moment after `after` (Unix milliseconds), or `undefined` when there is none within five years. */
export function nextTime(schedule: Schedule, after: number, zone: string): number | undefined {
  const second = Math.floor(after / SECOND_MS) * SECOND_MS;
  if (schedule.kind === "every") return second + schedule.delayMs;
  return nextOfFields(schedule, second, schedule.zone ?? zone);
}

function nextOfFields(schedule: Fields, after: number, zone: string): number | undefined {
  const local = after + offsetAt(zone, after);
  const lastYear = new Date(local).getUTCFullYear() + YEARS_AHEAD;
  const times = localTimes(schedule);
  // The day before: the clock may have been set back over midnight.
  for (let day = Math.floor(local / DAY_MS) * DAY_MS - DAY_MS; ; day += DAY_MS) {
    if (new Date(day).getUTCFullYear() > lastYear) return undefined;
    const here = firstOn(day, { schedule, times, zone, after });
    if (here.moment === undefined) continue;
    if (!here.isChange) return here.moment;
    const later = firstOn(day + DAY_MS, { schedule, times, zone, after });
    return Math.min(here.moment, later.moment ?? here.moment);
  }
}

/** Milliseconds since local midnight, ascending. */
function localTimes({ hour, minute }: Fields): number[] {
  const hours = [...hour.values].toSorted(ascending);
  const minutes = [...minute.values].toSorted(ascending);
  return hours.flatMap((h) => minutes.map((m) => h * HOUR_MS + m * MINUTE_MS));
}

function ascending(a: number, b: number): number {
  return a - b;
}

interface Search {
  readonly schedule: Fields;
  readonly times: readonly number[];
  readonly zone: string;
  readonly after: number;
}

/** `day` is local midnight, written as if it were UTC. */
function firstOn(
  day: number,
  { schedule, times, zone, after }: Search,
): { readonly moment?: number; readonly isChange: boolean } {
  if (!isDue(schedule, new Date(day))) return { isChange: false };
  const before = offsetAt(zone, day - FARTHEST_MS);
  const behind = offsetAt(zone, day + DAY_MS + FARTHEST_MS);
  if (before === behind) {
    const time = times.find((one) => day + one - before > after);
    return { isChange: false, ...(time === undefined ? {} : { moment: day + time - before }) };
  }
  const moments = times
    .flatMap((time) => [before, behind].map((offset) => ({ moment: day + time - offset, offset })))
    .filter(({ moment, offset }) => moment > after && offsetAt(zone, moment) === offset)
    .map(({ moment }) => moment);
  return { isChange: true, ...(moments.length === 0 ? {} : { moment: Math.min(...moments) }) };
}

/** Of the two fields for days one suffices, unless one of them stands for "any". */
function isDue({ month, day, weekday }: Fields, date: Date): boolean {
  if (!month.values.has(date.getUTCMonth() + 1)) return false;
  const isDay = has(day, date.getUTCDate());
  const isWeekday = has(weekday, date.getUTCDay());
  return day.isAny || weekday.isAny ? isDay && isWeekday : isDay || isWeekday;
}

function has({ values }: CronField, value: number): boolean {
  return values.has(value);
}
