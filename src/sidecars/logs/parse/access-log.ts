/**
 * Access logs of nginx and Apache, `common` and `combined`. What nearly all lines look like is read by one regular expression that
 * cannot backtrack and becomes one object literal, which is what the engine is fastest with; the rest is read by position.
 */
import { closingQuote, unescape } from "./escapes.ts";
import { unparsed } from "./fields.ts";
import type { Fields } from "./fields.ts";
import { commonTime } from "./log-times.ts";
import type { Parsed, Parser } from "./parser.ts";
import { rememberLast } from "./time.ts";
import type { TimeReader } from "./time.ts";

const SPACE = 32;
const QUOTE = 34;
const DASH = 45;
const BRACKET = 91;
/** `[21/Nov/2026:09:48:00 +0000` */
const TIME_LENGTH = 27;
const LONGEST_METHOD = 32;

/** Where the parts of a line are. */
interface Places {
  readonly text: string;
  /** Behind the opening quote of the request, and at its closing one. */
  readonly request: number;
  readonly requestEnd: number;
  readonly hasEscapes: boolean;
}

/** An ordinary line without escapes. Each part ends at a character that it cannot hold. */
const ORDINARY =
  /^(\S+) (\S+) (\S+) \[([^\]]{26})\] "([A-Z]+) ([^\s"\\]+) (HTTP\/[\d.]+)" (\d{3}) (\d+) "([^"\\]*)" "([^"\\]*)"(?: (.*))?$/;

/**
 * Fields: `client`, `ident`, `user`, `method`, `path`, `protocol` (or `request`, as it is, where it is no request line), `status`,
 * `bytes`, and for `combined` `referer` and `userAgent`. What is `-` is left out; what follows is `extra`.
 */
export function accessLogParser(kind: "common" | "combined"): Parser {
  const readTime = rememberLast(commonTime);
  const isCombined = kind === "combined";
  return (text) =>
    (isCombined ? parseOrdinary(text, readTime) : undefined) ??
    parse(text, readTime, isCombined) ??
    unparsed(text, "not a line of an access log");
}

function parseOrdinary(text: string, readTime: TimeReader): Parsed | undefined {
  const match = ORDINARY.exec(text);
  if (match === null) return undefined;
  const [, client, ident, user, at = "", method, path, protocol, code, size, referer, userAgent, extra] =
    match;
  const time = readTime(at);
  if (time === undefined) return undefined;
  const status = Number(code);
  const bytes = Number(size);
  const isAnonymous = ident === "-" && user === "-";
  const fields: Fields = isAnonymous
    ? { client, method, path, protocol, status, bytes }
    : { client, ...named(ident, user), method, path, protocol, status, bytes };
  if (referer !== "-") fields["referer"] = referer;
  if (userAgent !== "-") fields["userAgent"] = userAgent;
  const more = extra?.trim() ?? "";
  if (more !== "") fields["extra"] = more;
  return { time, fields, problem: undefined };
}

function named(ident: string | undefined, user: string | undefined): Fields {
  return { ...(ident === "-" ? {} : { ident }), ...(user === "-" ? {} : { user }) };
}

function parse(text: string, readTime: TimeReader, isCombined: boolean): Parsed | undefined {
  const timeEnd = text.indexOf('] "');
  const timeStart = timeEnd - TIME_LENGTH;
  if (timeStart < 2 || text.charCodeAt(timeStart) !== BRACKET) return undefined;
  const time = readTime(text.slice(timeStart + 1, timeEnd));
  const hasEscapes = text.includes("\\");
  const request = timeEnd + 3;
  const requestEnd = quoteFrom(text, request, hasEscapes);
  if (time === undefined || requestEnd < 0) return undefined;
  const fields: Fields = {};
  if (!addClient(fields, text, timeStart - 1)) return undefined;
  const places = { text, request, requestEnd, hasEscapes };
  addRequest(fields, places);
  const end = addNumbers(fields, text, requestEnd + 1);
  if (end < 0) return undefined;
  if (end < text.length) addRest(fields, { ...places, requestEnd: end }, isCombined);
  return { time, fields, problem: undefined };
}

function quoteFrom(text: string, from: number, hasEscapes: boolean): number {
  return hasEscapes ? closingQuote(text, from) : text.indexOf('"', from);
}

/** `192.0.2.7 - - `, up to the space at `end`. A user's name may hold spaces. */
function addClient(fields: Fields, text: string, end: number): boolean {
  const clientEnd = text.indexOf(" ");
  if (text.charCodeAt(end) !== SPACE || clientEnd <= 0 || clientEnd >= end) return false;
  fields["client"] = text.slice(0, clientEnd);
  if (end === clientEnd + 4 && text.startsWith("- -", clientEnd + 1)) return true;
  const identEnd = text.indexOf(" ", clientEnd + 1);
  if (identEnd >= end) return false;
  const ident = text.slice(clientEnd + 1, identEnd);
  const user = text.slice(identEnd + 1, end);
  if (ident !== "-") fields["ident"] = ident;
  if (user !== "-") fields["user"] = unescape(user);
  return true;
}

function addRequest(fields: Fields, { text, request, requestEnd, hasEscapes }: Places): void {
  const methodEnd = text.indexOf(" ", request);
  const protocol = text.lastIndexOf(" HTTP/", requestEnd) + 1;
  if (methodEnd < 0 || methodEnd + 1 >= requestEnd || !isMethod(text, request, methodEnd)) {
    fields["request"] = text.slice(request, requestEnd);
    return;
  }
  const hasProtocol = protocol > methodEnd + 1;
  const path = text.slice(methodEnd + 1, hasProtocol ? protocol - 1 : requestEnd);
  fields["method"] = text.slice(request, methodEnd);
  fields["path"] = hasEscapes ? unescape(path) : path;
  if (hasProtocol) fields["protocol"] = text.slice(protocol, requestEnd);
}

function isMethod(text: string, from: number, end: number): boolean {
  if (end === from || end - from > LONGEST_METHOD) return false;
  for (let at = from; at < end; at++) {
    const code = text.charCodeAt(at);
    if ((code < 65 || code > 90) && code !== DASH && code !== 95) return false;
  }
  return true;
}

/** ` 200 5316`; tells where it ends, -1 where it is something else. */
function addNumbers(fields: Fields, text: string, from: number): number {
  if (text.charCodeAt(from) !== SPACE) return -1;
  const statusEnd = numberEnd(text, from + 1);
  if (statusEnd < 0 || text.charCodeAt(statusEnd) !== SPACE) return -1;
  const bytesEnd = numberEnd(text, statusEnd + 1);
  if (bytesEnd < 0) return -1;
  if (text.charCodeAt(from + 1) !== DASH) fields["status"] = Number(text.slice(from + 1, statusEnd));
  // Apache writes a dash for no bytes.
  fields["bytes"] = text.charCodeAt(statusEnd + 1) === DASH ? 0 : Number(text.slice(statusEnd + 1, bytesEnd));
  return bytesEnd;
}

/** Behind digits or a single dash that end the text or a word; -1 for anything else. */
function numberEnd(text: string, from: number): number {
  let at = from;
  if (text.charCodeAt(at) === DASH) at++;
  else while (text.charCodeAt(at) >= 48 && text.charCodeAt(at) <= 57) at++;
  return at > from && (at === text.length || text.charCodeAt(at) === SPACE) ? at : -1;
}

/** ` "referer" "user agent" and more`, from the space at `requestEnd`. */
function addRest(fields: Fields, { text, requestEnd, hasEscapes }: Places, isCombined: boolean): void {
  let at = requestEnd;
  for (const name of isCombined ? ["referer", "userAgent"] : []) {
    if (text.charCodeAt(at + 1) !== QUOTE) break;
    const end = quoteFrom(text, at + 2, hasEscapes);
    if (end < 0) break;
    const value = text.slice(at + 2, end);
    if (value !== "-") fields[name] = hasEscapes ? unescape(value) : value;
    at = end + 1;
    if (text.charCodeAt(at) !== SPACE) break;
  }
  const extra = text.slice(at).trim();
  if (extra !== "") fields["extra"] = extra;
}
