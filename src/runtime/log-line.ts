/** How one event of Pillion's log looks: JSON for machines, a short line for people. */
import type { LogFields } from "../kernel/host.ts";
import { messageOf, Problem } from "../kernel/problem.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogEvent {
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly level: LogLevel;
  readonly message: string;
  /** Undefined for the runtime itself. */
  readonly sidecar: string | undefined;
  readonly fields: LogFields | undefined;
  /** How often it was said since it was last written. */
  readonly repeated?: number;
}

/** One JSON object and a newline. */
export function formatJson({ time, level, message, sidecar, fields, repeated }: LogEvent): string {
  const event = { time: new Date(time).toISOString(), level, message, sidecar, repeated };
  return `${JSON.stringify({ ...event, fields: fields === undefined ? undefined : safely(fields) })}\n`;
}

/** Time of day (UTC), level, sidecar, message, fields. Control characters are shown, never sent to the terminal. */
export function formatText({ time, level, message, sidecar, fields, repeated }: LogEvent): string {
  const clock = new Date(time).toISOString().slice(11, 23);
  const whose = sidecar === undefined ? "" : `${sidecar}: `;
  const more = Object.entries(safely(fields ?? {})).map(
    ([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const again = repeated === undefined ? "" : ` (${repeated} more times)`;
  return `${visible(`${clock} ${level.toUpperCase().padEnd(5)} ${whose}${message}${more.join("")}${again}`)}\n`;
}

function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (found) => JSON.stringify(found).slice(1, -1));
}

/** Whoever logs does not break because of what it logs. */
function safely(fields: LogFields): LogFields {
  try {
    return JSON.parse(JSON.stringify(plain(fields))) as LogFields;
  } catch (error) {
    return { unloggable: messageOf(error) };
  }
}

/** What JSON can hold: errors become their words, a cycle or a value that JSON does not know becomes a text. */
function plain(value: unknown, above: readonly unknown[] = []): unknown {
  if (value instanceof Problem) return { code: value.code, message: value.message, fix: value.fix };
  if (value instanceof Error) return value.message;
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (above.includes(value)) return "[cycle]";
  const path = [...above, value];
  if (Array.isArray(value)) return value.map((item) => plain(item, path));
  if ("toJSON" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, path)]));
}
