/** Reads `Retry-After`, RFC 9110 section 10.2.3: seconds, or an HTTP date. */

/** A receiver that asks for more than this has a wrong clock, or wants us gone; we look again after it. */
const LONGEST_MS = 10 * 60_000;

/** Milliseconds to wait, between 0 and ten minutes; undefined where the header is absent or means nothing. */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, LONGEST_MS);
  // Every form of an HTTP date (RFC 9110 section 5.6.7) begins with the name of a day; `Date.parse` alone takes far more.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(text)) return undefined;
  // The oldest form, of asctime, names no zone and means UTC.
  const at = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return Number.isNaN(at) ? undefined : Math.min(Math.max(at - nowMs, 0), LONGEST_MS);
}
