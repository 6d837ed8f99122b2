/** Encodes records as syslog messages, RFC 5424, framed by octet counting, RFC 6587 section 3.4.1. */
import type { PodIdentity } from "../../../kernel/host.ts";
import { utcMicros } from "../../../lib/rfc3339.ts";
import type { LogRecord } from "../record.ts";
import { FACILITIES } from "../syslog-facilities.ts";
import { levelOf } from "./severity.ts";

export interface SyslogForm {
  readonly facility: (typeof FACILITIES)[number];
  readonly hostname?: string | undefined;
  readonly appName?: string | undefined;
  readonly procId?: string | undefined;
  /** Name of the element of structured data, then its parameters. */
  readonly structuredData: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Most bytes of one message, its header included. */
  readonly maxMessage: number;
}

/** Room that a header of ours takes at most without its structured data: section 6's limits added up. */
const MIN_ROOM = 64;
/** RFC 5612 reserves this enterprise number for examples; we have none of our own. */
const PARTS_ID = "pillion@32473";
const INFORMATIONAL = 6;

/** One record to one frame; to several where it is longer than a receiver takes, each of them marked with its number. */
export function createFrames(
  form: SyslogForm,
  pod: PodIdentity,
): (record: LogRecord, text: string) => string {
  const facility = FACILITIES.indexOf(form.facility);
  const hostname = name(form.hostname ?? pod.name, 255);
  const appName = name(form.appName ?? pod.labels["app.kubernetes.io/name"] ?? pod.labels["app"], 48);
  const names = `${hostname} ${appName} ${name(form.procId, 128)} -`;
  const elements = Object.entries(form.structuredData).map(([id, params]) => element(id, params));
  const plain = elements.length === 0 ? "-" : elements.join("");
  return (record, text) => {
    const severity = levelOf(record)?.severity.syslog ?? INFORMATIONAL;
    const header = `<${facility * 8 + severity}>1 ${utcMicros(record.time) ?? "-"} ${names}`;
    const whole = `${header} ${plain} ${text}`;
    const length = Buffer.byteLength(whole);
    if (length <= form.maxMessage) return `${length} ${whole}`;
    const room = form.maxMessage - Buffer.byteLength(`${header} ${elements.join("")}`) - MIN_ROOM;
    const parts = cut(text, Math.max(room, MIN_ROOM));
    return parts
      .map((part, index) => {
        const mark = element(PARTS_ID, { part: String(index + 1), parts: String(parts.length) });
        const message = `${header} ${elements.join("")}${mark} ${part}`;
        return `${Buffer.byteLength(message)} ${message}`;
      })
      .join("");
  };
}

/** PRINTUSASCII of limited length, or the nil value. */
function name(value: string | undefined, most: number): string {
  const printable = (value ?? "").replaceAll(/[^\x21-\x7E]/g, "_").slice(0, most);
  return printable === "" ? "-" : printable;
}

/** Section 6.3.3: quote, backslash and closing bracket are escaped. */
function element(id: string, params: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(params).map(
    ([key, value]) => ` ${key}="${value.replaceAll(/["\\\]]/g, "\\$&")}"`,
  );
  return `[${id}${pairs.join("")}]`;
}

/** Parts of at most `bytes` of UTF-8, no character torn. */
function cut(text: string, bytes: number): string[] {
  const all = Buffer.from(text);
  const parts: string[] = [];
  for (let start = 0; start < all.length;) {
    let end = Math.min(start + bytes, all.length);
    // 10xxxxxx goes on with a character that began before.
    while (end < all.length && end > start + 1 && ((all[end] ?? 0) & 0xc0) === 0x80) end--;
    parts.push(all.toString("utf8", start, end));
    start = end;
  }
  return parts;
}
