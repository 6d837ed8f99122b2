/** ISO 8601 and its many relatives: what most formats and programs write. */
import { digitsAt, fourDigits, rfc3339, twoDigits } from "./time.ts";
import type { OffsetAt, TimeReader } from "./time.ts";

const DASH = 45;
const SLASH = 47;
const COLON = 58;
/** Where the seconds end in `2026-11-21T09:48:00`. */
const SECONDS_END = 19;

/**
 * Reads `2026-11-21T09:48:00.123Z` and its variants: a space or `_` for the `T`, slashes in the date (nginx, Go), a comma before the
 * fraction (Python, Java), no seconds, a space before the zone, `+0200`, `+02`, ` UTC`, or no zone at all, which means `zone`.
 */
export function isoTime(zone: OffsetAt): TimeReader {
  return (text) => {
    const year = fourDigits(text, 0);
    const separator = text.charCodeAt(4);
    if (Number.isNaN(year) || (separator !== DASH && separator !== SLASH)) return undefined;
    if (
      text.charCodeAt(7) !== separator ||
      !"Tt _".includes(text[10] ?? ".") ||
      text.charCodeAt(13) !== COLON
    ) {
      return undefined;
    }
    const hasSeconds = text.charCodeAt(16) === COLON;
    const end = hasSeconds ? SECONDS_END : SECONDS_END - 3;
    const hasFraction = hasSeconds && (text[end] === "." || text[end] === ",");
    const digits = hasFraction ? digitsAt(text, end + 1) : 0;
    if (hasFraction && digits === 0) return undefined;
    const offset = readOffset(text, hasFraction ? end + 1 + digits : end, zone);
    if (offset === undefined) return undefined;
    const day = { year, month: twoDigits(text, 5), day: twoDigits(text, 8) };
    const second = hasSeconds ? twoDigits(text, 17) : 0;
    const time = { hour: twoDigits(text, 11), minute: twoDigits(text, 14), second };
    return rfc3339({ ...day, ...time, fraction: text.slice(end + 1, end + 1 + digits) }, offset);
  };
}

/** The zone that ends the text; `zone` where nothing follows, undefined where it is none. */
function readOffset(text: string, from: number, zone: OffsetAt): number | OffsetAt | undefined {
  if (from === text.length) return zone;
  const at = text[from] === " " ? from + 1 : from;
  const rest = text.slice(at);
  if (rest === "Z" || rest === "z" || rest === "UTC" || rest === "GMT") return 0;
  return readNumericOffset(rest);
}

/** `+02:00`, `+0200` or `+02` as seconds east of UTC; undefined for anything else. */
export function readNumericOffset(text: string): number | undefined {
  const sign = text[0];
  if (sign !== "+" && sign !== "-") return undefined;
  const colon = text[3] === ":" ? 1 : 0;
  if (text.length !== 3 && text.length !== 5 + colon) return undefined;
  const hours = twoDigits(text, 1);
  const minutes = text.length === 3 ? 0 : twoDigits(text, 3 + colon);
  if (!(hours <= 23 && minutes <= 59)) return undefined;
  const east = hours * 3_600 + minutes * 60;
  return sign === "-" ? -east : east;
}
