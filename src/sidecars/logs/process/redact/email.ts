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
    let plain = placeOf(text, AT, 0);
    let escaped = placeOf(text, ESCAPED_AT, 0);
    while (plain < text.length || escaped < text.length) {
      const isPlain = plain < escaped;
      const sign = isPlain ? plain : escaped;
      const behind = sign + (isPlain ? AT : ESCAPED_AT).length;
      // Each is looked for again only when it has been passed, or one that is not there would be looked for at every other.
      if (isPlain) plain = placeOf(text, AT, behind);
      else escaped = placeOf(text, ESCAPED_AT, behind);
      const end = endOfDomain(text, behind);
      const start = startOfLocal(text, sign, floor);
      if (end === 0 || start === sign) continue;
      spans.push(start, end);
      floor = end;
    }
    return spans.length === 0 ? NOTHING : spans;
  },
};

/** The text's length where there is none. */
function placeOf(text: string, sign: string, from: number): number {
  const place = text.indexOf(sign, from);
  return place < 0 ? text.length : place;
}

function startOfLocal(text: string, sign: number, floor: number): number {
  if (sign < floor) return sign;
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
