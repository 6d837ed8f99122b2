/** `level=info msg="a b" done`: pairs of names and values, as Go programs like to write them. */
import { collect, takeTime, unparsed } from "./fields.ts";
import type { Fields, TimeField } from "./fields.ts";
import type { Parser } from "./parser.ts";

const SPACE = 32;
const EQUALS = 61;

/** Values are text as written; a name without value is `true`; values of a name that comes again are a list. */
export function logfmtParser(timeField: TimeField): Parser {
  return (text) => {
    const fields: Fields = {};
    const problem = read(text, fields);
    if (problem !== undefined) return unparsed(text, problem);
    return { time: takeTime(fields, timeField), fields, problem: undefined };
  };
}

/** Fills in the fields; a problem where the text is no logfmt. */
function read(text: string, fields: Fields): string | undefined {
  let pairs = 0;
  let at = skipSpaces(text, 0);
  while (at < text.length) {
    const nameEnd = wordEnd(text, at, true);
    const name = text.slice(at, nameEnd);
    if (name === "") return "not logfmt: a value without a name";
    if (text.charCodeAt(nameEnd) !== EQUALS) {
      collect(fields, name, true);
      at = skipSpaces(text, nameEnd);
      continue;
    }
    pairs++;
    const isQuoted = text[nameEnd + 1] === '"';
    const end = isQuoted ? quotedEnd(text, nameEnd + 2) : wordEnd(text, nameEnd + 1, false);
    if (end < 0) return "not logfmt: a quote that does not end";
    const value = text.slice(nameEnd + 1, end);
    collect(fields, name, isQuoted ? unquote(value) : value);
    at = skipSpaces(text, end);
  }
  return pairs === 0 ? "not logfmt: no pair of name and value" : undefined;
}

function skipSpaces(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) <= SPACE) at++;
  return at;
}

function wordEnd(text: string, from: number, isName: boolean): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= SPACE || (isName && code === EQUALS)) break;
  }
  return at;
}

/** Behind the quote that ends a value; -1 where there is none. */
function quotedEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return -1;
}

/** Escapes are those of JSON; of others the backslash is taken off. */
function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  if (!inner.includes("\\")) return inner;
  try {
    return String(JSON.parse(quoted));
  } catch {
    return inner.replaceAll(/\\(.)/gs, "$1");
  }
}
