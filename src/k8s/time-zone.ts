/** Wall clocks of IANA time zones, from the runtime's own tables. */

/** Offsets such as `+01:00` are known to the runtime, but are no names. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    formatterOf(name);
    return true;
  } catch {
    return false;
  }
}

const formatters = new Map<string, Intl.DateTimeFormat>();
const MOST_FORMATTERS = 64;

function formatterOf(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone);
  if (known !== undefined) return known;
  const formatter = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  if (formatters.size >= MOST_FORMATTERS) formatters.clear();
  formatters.set(zone, formatter);
  return formatter;
}

/** Milliseconds that the zone's wall clock is ahead of UTC at `instant` (Unix milliseconds). Throws `RangeError` for a zone that is none. */
export function offsetAt(zone: string, instant: number): number {
  if (zone === "UTC") return 0;
  const parts: Record<string, number> = {};
  const whole = Math.floor(instant / 1000) * 1000;
  for (const { type, value } of formatterOf(zone).formatToParts(whole)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) - whole;
}
