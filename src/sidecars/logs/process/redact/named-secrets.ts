/** Finds the values that stand behind names such as `password=` in any of the notations that logs use. */

/** How names of secrets end, in any case: `DB_PASSWORD`, `accessToken`, `x-api-key`. */
const NAME =
  "(?:passw(?:or)?d|passphrase|pwd|secret|token|api[-_]?key|(?:access|account|auth|encryption|master|private|secret|shared|signing)[-_]?key|authorization|credentials?)";
const NAME_AT_END = new RegExp(`${NAME}$`, "i");
const SOME_NAME = /pass|pwd|secr|token|key|auth|cred|bear/i;

/** What stands between a name and its value: `=`, `: `, `":"`, `\": \"`, ` => `, `%3D`, `>` of an XML element. */
const ASSIGNED = `${NAME}(?:\\\\{0,8}["'])?(?:[ \\t]{0,8}(?:=>|:=|[=:]|%3[AD])[ \\t]{0,8}|>)`;
const NAMED = new RegExp(ASSIGNED, "gi");
/** `password= token=x`: the first has no value. */
const NAMED_HERE = new RegExp(`[\\w.-]{0,64}?${ASSIGNED}`, "iy");
/** `--password VALUE`. */
const FLAGGED = new RegExp(`(?<![\\w-])--[a-z0-9-]{0,40}?${NAME}[ \\t]{1,8}(?=[^-\\s])`, "gi");

/** RFC 9110, 11.4: the scheme stays, what follows it is the secret. */
const SCHEME =
  /(?:basic|bearer|digest|negotiate|ntlm|token|apikey|hawk|aws4-hmac-sha256)(?:[ \t]|%20|\+){1,4}/iy;
const OPENING = /\\{0,8}["'`]/y;
/** Literals that are no secrets, and nested objects, which have names of their own. */
const HARMLESS = /(?:true|false|null|undefined|none|nil)(?![\w-])|\{/iy;
/** Where a value without quotes ends, besides white space and quotes. */
const DELIMITER =
  /(?:[,;&]|%26)(?=$|\s|["']|[\w.%-]{1,64}?\s?(?:[=:]|%3[AD]))|[)\]}]{1,8}(?=$|[\s.,;:)\]}"'&])|\\["'nrt]/y;

type Span = readonly [start: number, end: number];

export function isSecretName(name: string): boolean {
  return NAME_AT_END.test(name);
}

/** Cheap: whether it is worth looking. */
export function holdsSecretName(text: string): boolean {
  return SOME_NAME.test(text);
}

/** Linear: every value is passed over once. */
export function findNamedSecrets(text: string, found: Span[]): void {
  for (const pattern of [NAMED, FLAGGED]) {
    pattern.lastIndex = 0;
    for (let name = pattern.exec(text); name !== null; name = pattern.exec(text)) {
      const span = valueAt(text, pattern.lastIndex);
      if (span === undefined) continue;
      found.push(span);
      pattern.lastIndex = span[1];
    }
  }
}

function valueAt(text: string, at: number): Span | undefined {
  const quote = matchAt(OPENING, text, at);
  const afterQuote = at + quote.length;
  const start = afterQuote + matchAt(SCHEME, text, afterQuote).length;
  if (quote === "" && matchAt(HARMLESS, text, start) !== "") return undefined;
  if (text.charCodeAt(at - 1) <= SPACE && matchAt(NAMED_HERE, text, at) !== "") return undefined;
  const end = quote === "" ? endOfBare(text, start) : endOfQuoted(text, start, quote);
  return end > start ? [start, end] : undefined;
}

/** To the closing quote, escaped as often as the opening one; where the event was cut off before it, to the end. */
function endOfQuoted(text: string, start: number, quote: string): number {
  const sign = quote.slice(-1);
  const depth = quote.length - 1;
  for (let end = text.indexOf(sign, start); end >= 0; end = text.indexOf(sign, end + 1)) {
    let slashes = 0;
    while (end - slashes > start && text[end - slashes - 1] === "\\") slashes++;
    // Without escapes an even number of them stands for backslashes of the value.
    if (depth === 0 ? slashes % 2 === 0 : slashes === depth) return end - depth;
  }
  return text.length;
}

const SPACE = 0x20;
const STOPS = new Set(Buffer.from("\"'`<>"));
const MAYBES = new Set(Buffer.from(",;&%)]}\\"));

function endOfBare(text: string, start: number): number {
  if (text[start] === "[") {
    // A list, as Go prints headers: all of it.
    const end = text.indexOf("]", start);
    return end < 0 ? text.length : end + 1;
  }
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= SPACE || STOPS.has(code)) return at;
    if (MAYBES.has(code) && matchAt(DELIMITER, text, at) !== "") return at;
  }
  return text.length;
}

function matchAt(sticky: RegExp, text: string, at: number): string {
  sticky.lastIndex = at;
  return sticky.exec(text)?.[0] ?? "";
}
