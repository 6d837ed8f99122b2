/** The error log of nginx: `2026/11/21 09:48:00 [error] 12#12: *5 message, client: …, server: …, request: "…", host: "…"`. */
import { put, unparsed } from "./fields.ts";
import type { Fields } from "./fields.ts";
import { isoTime } from "./iso-time.ts";
import type { Parser } from "./parser.ts";
import { rememberLast } from "./time.ts";
import type { OffsetAt } from "./time.ts";

const HEAD = /^(\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d) \[([a-z]+)\] (\d+)#(\d+): (?:\*(\d+) )?/;
/** What nginx adds behind the message, in this order. */
const CONTEXT = ["client", "server", "request", "subrequest", "upstream", "host", "referrer"];
const ADDRESS = /^(?:[\d.]+|[\da-fA-F:.]+|unix:)(?=,|$)/;
const LONGEST_ADDRESS = 64;

/** Fields: `level`, `pid`, `tid`, `connection`, `message`, then what of nginx's context there is. */
export function nginxErrorParser(zone: OffsetAt): Parser {
  const readTime = rememberLast(isoTime(zone));
  return (text) => {
    const match = HEAD.exec(text);
    const time = match === null ? undefined : readTime(match[1] ?? "");
    if (match === null || time === undefined) return unparsed(text, "not a line of an nginx error log");
    const [head, , level, pid, tid, connection] = match;
    const fields: Fields = { level, pid: Number(pid), tid: Number(tid) };
    if (connection !== undefined) fields["connection"] = Number(connection);
    const contextAt = contextOf(text, head.length);
    fields["message"] = text.slice(head.length, contextAt);
    addContext(fields, text, contextAt);
    return { time, fields, problem: undefined };
  };
}

/** Where `, client: ADDRESS` begins; the text's end where it does not. */
function contextOf(text: string, from: number): number {
  const mark = ", client: ";
  for (let at = text.indexOf(mark, from); at >= 0; at = text.indexOf(mark, at + 1)) {
    const addressAt = at + mark.length;
    if (ADDRESS.test(text.slice(addressAt, addressAt + LONGEST_ADDRESS))) return at;
  }
  return text.length;
}

/** nginx does not escape quotes within values: a value reaches to where the next name, or the end, follows. */
function addContext(fields: Fields, text: string, from: number): void {
  const starts: { name: string; at: number; value: number }[] = [];
  let at = from;
  for (const name of CONTEXT) {
    const mark = `, ${name}: `;
    const found = text.indexOf(mark, at);
    if (found < 0) continue;
    at = found + mark.length;
    starts.push({ name, at: found, value: at });
  }
  for (const [index, { name, value }] of starts.entries()) {
    put(fields, name, unquote(text.slice(value, starts[index + 1]?.at ?? text.length)));
  }
}

function unquote(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
