/** Names of indexes with a date in them, such as `logs-app-%{yyyy.MM.dd}`. */
import { epochNanos } from "../../../lib/rfc3339.ts";

/**
 * What Elasticsearch takes ("Create index API", path parameters): lower case, none of `\ / * ? " < > | , # :` and space, not
 * beginning with `-`, `_` or `+`; and one or several dates made of `yyyy`, `MM`, `dd`, `HH` with `.`, `-` or `_` between.
 */
export const INDEX_PATTERN =
  /^(?![-_+])(?!\.\.?$)(?:[^A-Z\\/*?"<>|\s,#:%{}]|%\{(?:yyyy|MM|dd|HH|[._-])+\})+$/;

const DATE = /%\{([^}]*)\}/g;
const PART = /yyyy|MM|dd|HH/g;

/** From a record's time to the name of its index. Times that cannot be read count as the epoch. */
export function createIndexNames(pattern: string): (time: string) => string {
  if (!pattern.includes("%{")) return () => pattern;
  // Records come in the order of their times, almost: the hour before decides nearly every name.
  let knownHour = "";
  let knownZone = "";
  let known = "";
  return (time) => {
    const hour = time.slice(0, 13);
    const zone = time.endsWith("Z") ? "Z" : time.slice(-6);
    if (hour === knownHour && zone === knownZone && isWholeHour(zone)) return known;
    [knownHour, knownZone, known] = [hour, zone, nameAt(pattern, time)];
    return known;
  };
}

/** India's half hour would put two hours of UTC into one of its own. */
function isWholeHour(zone: string): boolean {
  return zone === "Z" || zone.endsWith(":00");
}

function nameAt(pattern: string, time: string): string {
  const ms = Number((epochNanos(time) ?? "0").slice(0, -6));
  const utc = new Date(ms).toISOString();
  const parts: Readonly<Record<string, string>> = {
    yyyy: utc.slice(0, 4),
    MM: utc.slice(5, 7),
    dd: utc.slice(8, 10),
    HH: utc.slice(11, 13),
  };
  return pattern.replaceAll(DATE, (_, format: string) =>
    format.replaceAll(PART, (part) => parts[part] ?? part),
  );
}
