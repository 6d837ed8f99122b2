/** Ages as kubectl prints them (apimachinery `util/duration` HumanDuration). */

function withRest(whole: number, unit: string, rest: string): string {
  return rest.startsWith("0") ? `${whole}${unit}` : `${whole}${unit}${rest}`;
}

/** From milliseconds: `59s`, `5m30s`, `3h12m`, `4d`; `<invalid>` for more than two seconds in the future. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return withRest(minutes, "m", `${seconds % 60}s`);
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return withRest(hours, "h", `${minutes % 60}m`);
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (hours < 24 * 8) return withRest(days, "d", `${hours % 24}h`);
  if (hours < 24 * 365 * 2) return `${days}d`;
  const years = Math.trunc(days / 365);
  return hours < 24 * 365 * 8 ? withRest(years, "y", `${days % 365}d`) : `${years}y`;
}

/** Age of an RFC 3339 time at `now` (Unix milliseconds); `<unknown>` when it is absent or no time. */
export function ageOf(time: string | undefined, now: number): string {
  const at = time === undefined || time === null ? Number.NaN : Date.parse(time);
  return Number.isNaN(at) ? "<unknown>" : humanDuration(now - at);
}
