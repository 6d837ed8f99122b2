/** The error log of Apache 2.4 and 2.2: brackets with time, level, process and client, then the message. */
import { unparsed } from "./fields.ts";
import type { Fields } from "./fields.ts";
import { apacheTime } from "./log-times.ts";
import type { Parser } from "./parser.ts";
import { rememberLast } from "./time.ts";
import type { OffsetAt } from "./time.ts";

const HEAD =
  /^\[([A-Za-z]{3} [A-Za-z]{3} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})? \d{4})\] \[(?:([\w.-]*):)?([a-z]+\d?)\] /;
const REFERER = ", referer: ";

/** What may stand between level and message, each at most once; Apache's order changes with its version. */
const PARTS: readonly {
  readonly pattern: RegExp;
  readonly add: (fields: Fields, match: RegExpExecArray) => void;
}[] = [
  { pattern: /\[pid (\d+)(?::tid (\d+))?\] /y, add: addProcess },
  { pattern: /([\w.-]{1,64}\.c\(\d+\)): /y, add: (fields, [, source]) => (fields["source"] = source) },
  { pattern: /(\(-?\d{1,10}\)[^:[]{1,200}): /y, add: (fields, [, error]) => (fields["error"] = error) },
  { pattern: /\[(?:client|remote) ([^\s\]]+|\[[^\]]+\]:\d+)\] /y, add: addClient },
  { pattern: /(AH\d{5}): /y, add: (fields, [, code]) => (fields["code"] = code) },
];

/** Fields: `module`, `level`, `pid`, `tid`, `source`, `error`, `client`, `port`, `code`, `message`, `referer`, as far as there are. */
export function apacheErrorParser(zone: OffsetAt): Parser {
  const readTime = rememberLast(apacheTime(zone));
  return (text) => {
    const match = HEAD.exec(text);
    const time = match === null ? undefined : readTime(match[1] ?? "");
    if (match === null || time === undefined) return unparsed(text, "not a line of an Apache error log");
    const [head, , module, level] = match;
    const fields: Fields = module === undefined || module === "" ? { level } : { module, level };
    const messageAt = addParts(fields, text, head.length);
    const refererAt = text.lastIndexOf(REFERER);
    const hasReferer = refererAt >= messageAt;
    fields["message"] = text.slice(messageAt, hasReferer ? refererAt : text.length);
    if (hasReferer) fields["referer"] = text.slice(refererAt + REFERER.length);
    return { time, fields, problem: undefined };
  };
}

function addParts(fields: Fields, text: string, from: number): number {
  let at = from;
  const left = new Set(PARTS);
  for (let hasFound = true; hasFound;) {
    hasFound = false;
    for (const part of left) {
      part.pattern.lastIndex = at;
      const match = part.pattern.exec(text);
      if (match === null) continue;
      part.add(fields, match);
      at += match[0].length;
      left.delete(part);
      hasFound = true;
    }
  }
  return at;
}

function addProcess(fields: Fields, [, pid, tid]: RegExpExecArray): void {
  fields["pid"] = Number(pid);
  if (tid !== undefined) fields["tid"] = Number(tid);
}

/** Apache 2.4 writes `192.0.2.7:51000` and `2001:db8::7:51000`, 2.2 only the address. */
function addClient(fields: Fields, [, client = ""]: RegExpExecArray): void {
  const colon = client.lastIndexOf(":");
  const port = client.slice(colon + 1);
  if (fields["module"] === undefined || colon < 0 || !/^\d{1,5}$/.test(port)) {
    fields["client"] = client;
    return;
  }
  fields["client"] = client.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  fields["port"] = Number(port);
}
