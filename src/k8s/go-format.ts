/** Values as Go prints them, because the texts of the real API server are made by Go's `%q` and `encoding/json`. */

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  '"': '\\"',
  "\\": "\\\\",
};

/** Go's `strconv.Quote`: printable Unicode stays, control characters become `\n`, `\x1b` or `\u0085`. */
export function goQuote(text: string): string {
  const body = text.replaceAll(/["\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0]/gu, (char) => {
    const short = SHORT_ESCAPES[char];
    if (short !== undefined) return short;
    const code = char.codePointAt(0) ?? 0;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
    return `\\U${code.toString(16).padStart(8, "0")}`;
  });
  return `"${body}"`;
}

/** Go's `json.Marshal`: sorted map keys cannot be told from struct fields here, so the order is the object's own. */
export function goJson(value: unknown): string {
  return (JSON.stringify(value) ?? "null").replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
