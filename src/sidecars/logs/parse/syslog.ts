/** Syslog as RFC 5424 has it, as RFC 3164 describes what programs write, and as files and `/dev/log` leave parts of it out. */
import { FACILITIES } from "../syslog-facilities.ts";
import { collect, put, unparsed } from "./fields.ts";
import type { Fields } from "./fields.ts";
import { isoTime } from "./iso-time.ts";
import { syslogTime } from "./log-times.ts";
import type { Parsed, Parser } from "./parser.ts";
import { readStructuredData } from "./structured-data.ts";
import { rememberLast } from "./time.ts";
import type { TimeReader } from "./time.ts";
import type { TimeContext } from "./time-reader.ts";

/** By number, in the words of nginx and Apache, so that one filter fits them all. */
export const LEVELS: readonly string[] = [
  "emerg",
  "alert",
  "crit",
  "error",
  "warn",
  "notice",
  "info",
  "debug",
];

const PRIORITY = /^<(\d{1,3})>/;
const LARGEST_PRIORITY = 191;
const HEAD_5424 = /^1 (\S{1,64}) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) /;
const TIME_3164 = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})? /;
const TIME_ISO = /^\d{4}-\d\d-\d\dT\S{8,30} /;
/** `sshd[812]: `, `kernel: `; nothing that an address could be. */
const TAG = /^([^\s:[\]]{1,128})(?:\[([^\s\]]{0,64})\])?:(?: |$)/;
const HOST = /^(\S{1,255}) /;

/** Fields: `facility`, `level`, `host`, `app`, `pid`, `msgid`, `structured` (RFC 5424), `message`, as far as there are. */
export function syslogParser({ zone, clock }: TimeContext): Parser {
  const iso = rememberLast(isoTime(zone));
  const bsd = syslogTime(zone, clock);
  return (text) => {
    const match = PRIORITY.exec(text);
    const priority = match === null ? undefined : Number(match[1]);
    if (priority !== undefined && priority > LARGEST_PRIORITY) return unparsed(text, "not a syslog message");
    const body = match === null ? text : text.slice(match[0].length);
    const fields: Fields = {};
    if (priority !== undefined) {
      fields["facility"] = FACILITIES[priority >> 3];
      fields["level"] = LEVELS[priority & 7];
    }
    const parsed =
      (priority === undefined ? undefined : parse5424(body, fields, iso)) ??
      parse3164(body, fields, { iso, bsd });
    if (parsed !== undefined) return parsed;
    if (priority === undefined) return unparsed(text, "not a syslog message");
    fields["message"] = body;
    return { time: undefined, fields, problem: undefined };
  };
}

function parse5424(body: string, fields: Fields, readTime: TimeReader): Parsed | undefined {
  const match = HEAD_5424.exec(body);
  if (match === null) return undefined;
  const [head, stamp = "", host, app, pid, msgid] = match;
  const time = stamp === "-" ? undefined : readTime(stamp);
  const data = readStructuredData(body, head.length);
  if ((time === undefined && stamp !== "-") || data === undefined) return undefined;
  for (const [name, value] of Object.entries({ host, app, pid: numberOr(pid), msgid })) {
    if (value !== "-") fields[name] = value;
  }
  if (data.elements !== undefined) fields["structured"] = data.elements;
  const message = body.slice(data.end + 1);
  // RFC 5424 lets a byte order mark say that the message is UTF-8.
  fields["message"] = message.startsWith("\uFEFF") ? message.slice(1) : message;
  return { time, fields, problem: undefined };
}

function parse3164(
  body: string,
  fields: Fields,
  { iso, bsd }: { iso: TimeReader; bsd: TimeReader },
): Parsed | undefined {
  const bsdStamp = TIME_3164.exec(body)?.[0];
  const stamp = bsdStamp ?? TIME_ISO.exec(body)?.[0];
  if (stamp === undefined) return undefined;
  const time = (bsdStamp === undefined ? iso : bsd)(stamp.trimEnd());
  if (time === undefined) return undefined;
  let rest = body.slice(stamp.length);
  // Programs that write to /dev/log leave out the host.
  const host = TAG.test(rest) ? undefined : HOST.exec(rest);
  if (host !== null && host !== undefined) {
    fields["host"] = host[1];
    rest = rest.slice(host[0].length);
  }
  const tag = TAG.exec(rest);
  if (tag !== null) {
    put(fields, "app", tag[1]);
    if (tag[2] !== undefined && tag[2] !== "") collect(fields, "pid", numberOr(tag[2]));
  }
  fields["message"] = rest.slice(tag?.[0].length ?? 0);
  return { time, fields, problem: undefined };
}

function numberOr(text: string | undefined): unknown {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : text;
}
