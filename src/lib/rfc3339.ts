/** Reads RFC 3339 times to the nanosecond, which `Date` cannot hold. */

/** `YYYY-MM-DDTHH:MM:SS`, an optional fraction, and the zone. RFC 3339 section 5.6. */
const TIME = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$/;

/** The last minute asked for: times of logs come in order, so almost every one is in the minute of the one before. */
let knownMinute = "";
let knownZone = "";
let knownSeconds = 0;

/** Whole seconds since the epoch and nine digits behind them; undefined for what is no RFC 3339 time. */
interface Instant {
  readonly seconds: number;
  /** Nine digits. */
  readonly fraction: string;
}

/**
 * Nanoseconds since the Unix epoch as decimal text; digits behind the ninth are cut off. Undefined for what is no RFC 3339
 * time. A leap second counts as the last second of its minute, since the epoch has none.
 */
export function epochNanos(time: string): string | undefined {
  const instant = instantOf(time);
  if (instant === undefined) return undefined;
  const { seconds, fraction } = instant;
  if (seconds > 0) return `${seconds}${fraction}`;
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(fraction));
}

/** The same instant in UTC as `YYYY-MM-DDTHH:MM:SS.ffffffZ`: what RFC 5424 takes at most. Undefined as above. */
export function utcMicros(time: string): string | undefined {
  const instant = instantOf(time);
  if (instant === undefined) return undefined;
  return `${new Date(instant.seconds * 1_000).toISOString().slice(0, 19)}.${instant.fraction.slice(0, 6)}Z`;
}

function instantOf(time: string): Instant | undefined {
  const zoneAt = time.endsWith("Z") ? time.length - 1 : time.length - 6;
  const isKnown =
    zoneAt >= 19 &&
    time.startsWith(knownMinute) &&
    knownMinute !== "" &&
    time.endsWith(knownZone) &&
    time.length - zoneAt === knownZone.length;
  const second = isKnown ? twoDigits(time, 17) : -1;
  if (second >= 0 && second < 60) {
    const fraction = fractionOf(time, zoneAt);
    if (fraction !== undefined) return { seconds: knownSeconds + second, fraction };
  }
  return readInstant(time);
}

function readInstant(time: string): Instant | undefined {
  const [, date = "", clock = "", fraction = "", zone = ""] = TIME.exec(time) ?? [];
  if (date === "") return undefined;
  const minute = Date.parse(`${date}T${clock.slice(0, 5)}:00${zone.toUpperCase()}`) / 1_000;
  const second = Number(clock.slice(6));
  // Engines carry an impossible day over into the next month.
  if (!Number.isFinite(minute) || second > 60 || !isDay(date)) return undefined;
  if (time[10] === "T") [knownMinute, knownZone, knownSeconds] = [time.slice(0, 17), zone, minute];
  return { seconds: minute + Math.min(second, 59), fraction: fraction.slice(0, 9).padEnd(9, "0") };
}

function isDay(date: string): boolean {
  const at = new Date(`${date}T00:00:00Z`);
  return Number.isFinite(at.getTime()) && at.toISOString().startsWith(date);
}

function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}

/** The digits between the second and the zone as nine; undefined where something else stands there. */
function fractionOf(time: string, zoneAt: number): string | undefined {
  if (zoneAt === 19) return "000000000";
  if (time[19] !== "." || zoneAt === 20) return undefined;
  const end = Math.min(zoneAt, 29);
  for (let at = 20; at < zoneAt; at++) {
    const digit = time.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return undefined;
  }
  return time.slice(20, end).padEnd(9, "0");
}
