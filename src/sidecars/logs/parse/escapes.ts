/** Undoes the escapes that web servers write into quoted values: `\xNN`, `\"`, `\\` and those of C. */
import { decodeMarked, showMarks } from "../lines/marked-text.ts";

const ESCAPES = /(?:\\x[0-9A-Fa-f]{2})+|\\["\\nrtbfv]/g;
const LETTERS: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  f: "\f",
  v: "\v",
};

/** Bytes become the characters that they are in UTF-8; those that are none stay `\xNN`. */
export function unescape(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replaceAll(ESCAPES, (escape) => {
    if (escape[1] !== "x") return LETTERS[escape[1] ?? ""] ?? escape.slice(1);
    const bytes = Uint8Array.from(escape.slice(2).split("\\x"), (hex) => Number.parseInt(hex, 16));
    return showMarks(decodeMarked(bytes));
  });
}

/** The place of the quote that ends a value, behind any number of escaped ones; -1 where there is none. */
export function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (at - slashes > from && text.charCodeAt(at - slashes - 1) === 92) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return -1;
}
