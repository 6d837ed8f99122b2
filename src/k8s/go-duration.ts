/** Durations as Go programs read them: `1h30m`, `-1.5h`, `300ms` (`time.ParseDuration`). */

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["ns", 1e-6],
  ["us", 1e-3],
  ["µs", 1e-3],
  ["μs", 1e-3],
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
]);
/** 2^63 nanoseconds. */
const LONGEST_MS = 2 ** 63 / 1e6;

/** Milliseconds, or `undefined` for what is no duration. */
export function parseGoDuration(text: string): number | undefined {
  const body = text.replace(/^[+-]/, "");
  if (body === "0") return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) return undefined;
  let total = 0;
  for (const [, number = "", unit = ""] of body.matchAll(/([\d.]+)(\D+)/g)) {
    total += Number(number) * (UNIT_MS.get(unit) ?? 0);
  }
  if (total >= LONGEST_MS) return undefined;
  return text.startsWith("-") ? -total : total;
}
