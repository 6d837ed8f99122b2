/** What parsers have in common: fields that are safe whatever their names, times taken out of them, and texts that are kept. */
import type { Parsed } from "./parser.ts";
import type { TimeReader } from "./time.ts";

export type Fields = Record<string, unknown>;

/** Sets a field of any name. An assignment to `__proto__` would change the object itself. */
export function put(fields: Fields, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(fields, name, { value, writable: true, enumerable: true, configurable: true });
  } else {
    fields[name] = value;
  }
}

/** Sets a field; values of a name that comes again are collected in a list. */
export function collect(fields: Fields, name: string, value: unknown): void {
  if (!Object.hasOwn(fields, name)) {
    put(fields, name, value);
    return;
  }
  const before = fields[name];
  if (Array.isArray(before)) before.push(value);
  else put(fields, name, [before, value]);
}

/** A text that is not what its parser expects, delivered as it is. */
export function unparsed(text: string, problem: string): Parsed {
  return { time: undefined, fields: { message: text }, problem };
}

/** Where the time may stand, and how it is written. */
export interface TimeField {
  readonly names: readonly string[];
  readonly read: TimeReader;
}

/** Names that carry the time in most formats, the likeliest first. */
export const TIME_NAMES: readonly string[] = ["time", "timestamp", "ts", "@timestamp"];

/**
 * Takes the time out of the fields: the first of the names that holds one. A field `time` that holds none is called `originalTime`
 * from then on, because `time` is the name that the record's own time is delivered under.
 */
export function takeTime(fields: Fields, { names, read }: TimeField): string | undefined {
  let time: string | undefined;
  for (const name of names) {
    if (!Object.hasOwn(fields, name)) continue;
    const value = fields[name];
    if (typeof value !== "string" && typeof value !== "number") continue;
    time = read(String(value));
    if (time === undefined) continue;
    delete fields[name];
    break;
  }
  if (Object.hasOwn(fields, "time")) {
    collect(fields, "originalTime", fields["time"]);
    delete fields["time"];
  }
  return time;
}
