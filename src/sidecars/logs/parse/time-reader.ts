/** Which reader a configured `timeFormat` means. */
import type { Clock } from "../../../kernel/clock.ts";
import { isoTime } from "./iso-time.ts";
import { commonTime, syslogTime } from "./log-times.ts";
import { patternTime } from "./time-pattern.ts";
import { rememberLast } from "./time.ts";
import type { OffsetAt, TimeReader } from "./time.ts";
import { anyUnixTime, unixTime } from "./unix-time.ts";

/** Formats with a name; anything else is a pattern of strftime. */
export const TIME_FORMATS = [
  "auto",
  "rfc3339",
  "unix",
  "unix_ms",
  "unix_us",
  "unix_ns",
  "common",
  "syslog",
] as const;

export interface TimeContext {
  /** For times that have none. */
  readonly zone: OffsetAt;
  /** For times without a year. */
  readonly clock: Pick<Clock, "now">;
}

/** A reader for the format; expects a name out of `TIME_FORMATS`, or a pattern that `patternTrouble` finds nothing against. */
export function timeReaderOf(format: string, { zone, clock }: TimeContext): TimeReader {
  switch (format) {
    case "auto":
      return rememberLast(anyTime({ zone, clock }));
    case "rfc3339":
      return rememberLast(isoTime(zone));
    case "unix":
    case "unix_ms":
    case "unix_us":
    case "unix_ns":
      return unixTime(format);
    case "common":
      return rememberLast(commonTime);
    case "syslog":
      return syslogTime(zone, clock);
    default:
      return patternTime(format, zone, clock);
  }
}

/** ISO 8601 and relatives, Unix numbers, and what access logs and syslog write: they differ in their first characters. */
function anyTime({ zone, clock }: TimeContext): TimeReader {
  const iso = isoTime(zone);
  const syslog = syslogTime(zone, clock);
  return (text) => iso(text) ?? anyUnixTime(text) ?? commonTime(text) ?? syslog(text);
}
