/**
 * What a wall clock without a zone means: the offset of a named zone at that wall time. Where clocks are set back and the time
 * comes twice, the first is meant; where they are set forward and it never comes, the offset before counts, so that the moment
 * is as far behind the change as the clock says.
 */
import { readNumericOffset } from "./iso-time.ts";
import type { OffsetAt } from "./time.ts";

/** Longer than any offset, so that the moment lies between, and shorter than the way from one change to the next. */
const DAY_AND_HALF = 129_600;
/** Wall minutes that are remembered per zone. */
const REMEMBERED = 1_024;

/** Whether `zoneOf` knows the name. */
export function isZone(name: string): boolean {
  if (name === "UTC" || readNumericOffset(name) !== undefined) return true;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** The offsets of `UTC`, of `+02:00` or of an IANA zone like `Europe/Berlin`. Throws `RangeError` for a name that is none. */
export function zoneOf(name: string): OffsetAt {
  if (name === "UTC") return () => 0;
  const fixed = readNumericOffset(name);
  if (fixed !== undefined) return () => fixed;
  const offsetAtUnix = unixOffsetsOf(name);
  const known = new Map<number, number>();
  return (wallSeconds) => {
    const minute = Math.floor(wallSeconds / 60);
    const before = known.get(minute);
    if (before !== undefined) return before;
    if (known.size >= REMEMBERED) known.clear();
    const offset = offsetAtWall(wallSeconds, offsetAtUnix);
    known.set(minute, offset);
    return offset;
  };
}

function offsetAtWall(wallSeconds: number, offsetAtUnix: (seconds: number) => number): number {
  const before = offsetAtUnix(wallSeconds - DAY_AND_HALF);
  const after = offsetAtUnix(wallSeconds + DAY_AND_HALF);
  if (before === after || offsetAtUnix(wallSeconds - before) === before) return before;
  return offsetAtUnix(wallSeconds - after) === after ? after : before;
}

/** Offsets at moments, out of the runtime's copy of the IANA data. */
function unixOffsetsOf(name: string): (seconds: number) => number {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" });
  return (seconds) => {
    const [, sign, hours = 0, minutes = 0, rest = 0] =
      /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(format.format(seconds * 1_000)) ?? [];
    const east = Number(hours) * 3_600 + Number(minutes) * 60 + Number(rest);
    return sign === "-" ? -east : east;
  };
}
