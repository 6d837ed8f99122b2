/** The structured data of RFC 5424, section 6.3: `[origin ip="192.0.2.1"][x@1 a="\"b\""]`, or `-` for none. */
import { collect, put } from "./fields.ts";
import type { Fields } from "./fields.ts";

export interface StructuredData {
  /** Parameters by element; values of a name that comes again are a list. Undefined for `-`. */
  readonly elements: Fields | undefined;
  /** Behind its last character: the text's end, or a space. */
  readonly end: number;
}

const NAME_END = new Set([" ", "=", "]", '"']);

/** Reads at a place; undefined where there is none. */
export function readStructuredData(text: string, from: number): StructuredData | undefined {
  if (text[from] === "-") return isEnd(text, from + 1) ? { elements: undefined, end: from + 1 } : undefined;
  const elements: Fields = {};
  let at = from;
  while (text[at] === "[") {
    const nameEnd = endOfName(text, at + 1);
    const parameters: Fields = {};
    const end = nameEnd === at + 1 ? -1 : readParameters(text, nameEnd, parameters);
    if (end < 0) return undefined;
    const id = text.slice(at + 1, nameEnd);
    const before = Object.hasOwn(elements, id) ? elements[id] : undefined;
    put(elements, id, typeof before === "object" ? { ...before, ...parameters } : parameters);
    at = end;
  }
  return at > from && isEnd(text, at) ? { elements, end: at } : undefined;
}

/** Reads ` name="value"` up to and with the closing bracket; tells where that ends, -1 where it does not. */
function readParameters(text: string, from: number, parameters: Fields): number {
  let at = from;
  while (text[at] === " ") {
    const nameEnd = endOfName(text, at + 1);
    if (nameEnd === at + 1 || !text.startsWith('="', nameEnd)) return -1;
    const end = valueEnd(text, nameEnd + 2);
    if (end < 0) return -1;
    const value = text.slice(nameEnd + 2, end).replaceAll(/\\(["\\\]])/g, "$1");
    collect(parameters, text.slice(at + 1, nameEnd), value);
    at = end + 1;
  }
  return text[at] === "]" ? at + 1 : -1;
}

function endOfName(text: string, from: number): number {
  let at = from;
  while (at < text.length && !NAME_END.has(text[at] ?? "")) at++;
  return at;
}

function valueEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at;
  }
  return -1;
}

function isEnd(text: string, at: number): boolean {
  return at === text.length || text[at] === " ";
}
