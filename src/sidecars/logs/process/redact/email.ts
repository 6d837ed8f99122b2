/** Finds e-mail addresses, also as URLs write them (`%40`). */
import { type Detector, isDigit, isLetter, NOTHING } from "./detector.ts";

/** RFC 5321, 4.5.3.1. */
const MAX_LOCAL = 64;
const MAX_DOMAIN = 255;
const AT = "@";
const ESCAPED_AT = "%40";
const DOT = 0x2e;
const DASH = 0x2d;
const BACKSLASH = 0x5c;
const UNDERSCORE = 0x5f;
const PERCENT = 0x25;
/** `%3D` */
const ESCAPE_LENGTH = 3;
const LOCAL_SIGNS = new Set(Buffer.from("!#$%&'*+.^_`{|}~-"));
/** Pictures for dense screens: `logo@2x.png`. */
const DENSITY = /^\dx\./;

export const email: Detector = {
  mayHold: (text) => text.includes(AT) || text.includes(ESCAPED_AT),

  find(text) {
    const spans: number[] = [];
    let floor = 0;
    for (let sign = nextSign(text, 0); sign !== undefined; sign = nextSign(text, Math.max(sign.end, floor))) {
      const end = endOfDomain(text, sign.end);
      const start = startOfLocal(text, sign.start, floor);
      if (end === 0 || start === sign.start) continue;
      spans.push(start, end);
      floor = end;
    }
    return spans.length === 0 ? NOTHING : spans;
  },
};

interface Sign {
  readonly start: number;
  readonly end: number;
}

function nextSign(text: string, from: number): Sign | undefined {
  const plain = text.indexOf(AT, from);
  // Not looked for behind the next plain one, or many of those would each search the rest of the text.
  const escaped = text.slice(from, plain < 0 ? undefined : plain).indexOf(ESCAPED_AT);
  if (escaped >= 0) return { start: from + escaped, end: from + escaped + ESCAPED_AT.length };
  return plain < 0 ? undefined : { start: plain, end: plain + 1 };
}

function startOfLocal(text: string, sign: number, floor: number): number {
  let start = sign;
  const least = Math.max(floor, sign - MAX_LOCAL);
  while (start > least && isLocal(text.charCodeAt(start - 1))) start--;
  while (start < sign && !isWord(text.charCodeAt(start)) && text.charCodeAt(start) !== UNDERSCORE) {
    start += text.charCodeAt(start) === PERCENT ? ESCAPE_LENGTH : 1;
  }
  // `\nbob@...`: the first letter belongs to an escape.
  if (start > 0 && text.charCodeAt(start - 1) === BACKSLASH) start++;
  return Math.min(start, sign);
}

/** Behind the last label, which has two letters at least; 0 where it is no domain. */
function endOfDomain(text: string, start: number): number {
  let end = start;
  const most = Math.min(text.length, start + MAX_DOMAIN);
  while (end < most && isDomain(text.charCodeAt(end))) end++;
  while (end > start && !isWord(text.charCodeAt(end - 1))) end--;
  const domain = text.slice(start, end);
  const dot = domain.lastIndexOf(".");
  if (dot <= 0 || DENSITY.test(domain)) return 0;
  return isTopLevel(domain.slice(dot + 1)) ? end : 0;
}

function isTopLevel(label: string): boolean {
  return label.startsWith("xn--") || /^\p{L}{2,}$/u.test(label);
}

function isLocal(code: number): boolean {
  return isWord(code) || LOCAL_SIGNS.has(code);
}

function isDomain(code: number): boolean {
  return isWord(code) || code === DOT || code === DASH;
}

/** Letters beyond ASCII count too (RFC 6531). */
function isWord(code: number): boolean {
  return isLetter(code) || isDigit(code) || code >= 0x80;
}
