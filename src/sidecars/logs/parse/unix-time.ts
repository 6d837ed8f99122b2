/** Seconds, or parts of a second, since the epoch: as text and exact, because nanoseconds do not fit into a number. */
import { rfc3339OfUnix } from "./time.ts";
import type { TimeReader } from "./time.ts";

const DECIMAL = /^(-?)(\d{1,19})(?:\.(\d+))?$/;
/** Digits behind the second, by unit. */
export const UNIX_UNITS = { unix: 0, unix_ms: 3, unix_us: 6, unix_ns: 9 } as const;
/** In 1973. What is less, and says no unit, is more likely a duration or a counter. */
const LEAST_SECONDS = 100_000_000;

/** Reads decimal numbers of one unit; undefined where the years 0 to 9999 do not hold them. */
export function unixTime(unit: keyof typeof UNIX_UNITS): TimeReader {
  return (text) => {
    const [, sign, whole, rest = ""] = DECIMAL.exec(text) ?? [];
    return whole === undefined
      ? undefined
      : read({ isNegative: sign === "-", whole, rest, shift: UNIX_UNITS[unit] });
  };
}

/** Reads decimal numbers whose unit shows in their length, from 1973 on: 11 digits are seconds, 14 ms, 17 µs, more ns. */
export const anyUnixTime: TimeReader = (text) => {
  const [, sign, whole, rest = ""] = DECIMAL.exec(text) ?? [];
  if (whole === undefined || sign === "-") return undefined;
  const shift = whole.length <= 11 ? 0 : whole.length <= 14 ? 3 : whole.length <= 17 ? 6 : 9;
  if (shift === 0 && Number(whole) < LEAST_SECONDS) return undefined;
  return read({ isNegative: false, whole, rest, shift });
};

interface Parts {
  readonly isNegative: boolean;
  readonly whole: string;
  readonly rest: string;
  readonly shift: number;
}

function read({ isNegative, whole, rest, shift }: Parts): string | undefined {
  const padded = whole.padStart(shift + 1, "0");
  const seconds = Number(padded.slice(0, padded.length - shift));
  const fraction = (padded.slice(padded.length - shift) + rest).slice(0, 9);
  if (!isNegative) return rfc3339OfUnix(seconds, fraction);
  // Before 1970 the fraction counts forward from the second before.
  const nanos = Number(fraction.padEnd(9, "0"));
  if (nanos === 0) return rfc3339OfUnix(-seconds, fraction);
  return rfc3339OfUnix(
    -seconds - 1,
    String(1_000_000_000 - nanos)
      .padStart(9, "0")
      .slice(0, fraction.length),
  );
}
