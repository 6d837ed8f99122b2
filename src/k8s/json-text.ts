/** Reads a JSON request body: what `JSON.parse` hides (duplicate keys, depth), and errors in the words of Go's parser. */

/** Deeper than any API object; Go stops at 10,000, but what is stored is walked recursively again and again. */
export const MAX_JSON_DEPTH = 500;

/** The text is not JSON. The message is that of Go's `encoding/json`. */
export class JsonTextError extends Error {
  override readonly name = "JsonTextError";
}

export interface JsonText {
  /** The last of duplicate keys wins, as in Go. */
  readonly value: unknown;
  /** Paths of keys that come twice in one object, for example `spec.containers[0].image`. */
  readonly duplicates: readonly string[];
}

/** Throws `JsonTextError`. Keys such as `__proto__` are ordinary own properties of the result. */
export function parseJsonText(text: string): JsonText {
  const { depth, keys } = measure(text);
  if (depth > MAX_JSON_DEPTH) throw new JsonTextError("exceeded max depth");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    new JsonScan(text).run();
    throw new JsonTextError("invalid JSON"); // Not reached while our scanner is as strict as JSON.parse.
  }
  if (countKeys(value) === keys) return { value, duplicates: [] };
  const scan = new JsonScan(text);
  scan.run();
  return { value, duplicates: scan.duplicates };
}

/** Deepest nesting and number of object keys of a text that need not be valid. */
function measure(text: string): { depth: number; keys: number } {
  let [level, depth, keys] = [0, 0, 0];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === 0x7b || code === 0x5b) depth = Math.max(depth, (level += 1));
    else if (code === 0x7d || code === 0x5d) level -= 1;
    else if (code === 0x3a) keys += 1;
  }
  return { depth, keys };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Index of the closing quote, or of the end of a text that has none. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
}

function countKeys(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inner: unknown[] = Array.isArray(value) ? value : Object.values(value);
  let count = Array.isArray(value) ? 0 : inner.length;
  for (const item of inner) count += countKeys(item);
  return count;
}

/** The slow way, for texts with something wrong: where duplicate keys are, or why it is not JSON. */
class JsonScan {
  readonly duplicates: string[] = [];
  readonly #text: string;
  readonly #path: string[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): void {
    this.#value();
    if (this.#peek() !== "") throw this.#unexpected("after top-level value");
  }

  /** The next character that is not white space; empty at the end. */
  #peek(): string {
    while (" \t\r\n".includes(this.#text[this.#at] ?? "end")) this.#at += 1;
    return this.#text[this.#at] ?? "";
  }

  #unexpected(where: string): JsonTextError {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) return new JsonTextError("unexpected end of JSON input");
    const char = String.fromCodePoint(code);
    const quoted = char === "'" ? `\\'` : char === '"' ? '"' : JSON.stringify(char).slice(1, -1);
    return new JsonTextError(`invalid character '${quoted}' ${where}`);
  }

  #value(): void {
    const char = this.#peek();
    if (char === "{") this.#object();
    else if (char === "[") this.#array();
    else if (char === '"') this.#string();
    else if (char === "t") this.#literal("true");
    else if (char === "f") this.#literal("false");
    else if (char === "n") this.#literal("null");
    else if (char === "-" || isDigit(char)) this.#number();
    else throw this.#unexpected("looking for beginning of value");
  }

  #object(): void {
    this.#at += 1;
    if (this.#closes("}")) return;
    const seen = new Set<string>();
    for (;;) {
      if (this.#peek() !== '"') throw this.#unexpected("looking for beginning of object key string");
      const key = this.#string();
      const path = this.#path.length === 0 ? key : `.${key}`;
      this.#path.push(path);
      if (seen.has(key)) this.duplicates.push(this.#path.join(""));
      seen.add(key);
      if (this.#peek() !== ":") throw this.#unexpected("after object key");
      this.#at += 1;
      this.#value();
      this.#path.pop();
      if (this.#closes("}")) return;
      if (this.#peek() !== ",") throw this.#unexpected("after object key:value pair");
      this.#at += 1;
    }
  }

  #array(): void {
    this.#at += 1;
    if (this.#closes("]")) return;
    for (let index = 0; ; index += 1) {
      this.#path.push(`[${index}]`);
      this.#value();
      this.#path.pop();
      if (this.#closes("]")) return;
      if (this.#peek() !== ",") throw this.#unexpected("after array element");
      this.#at += 1;
    }
  }

  #closes(bracket: string): boolean {
    if (this.#peek() !== bracket) return false;
    this.#at += 1;
    return true;
  }

  #string(): string {
    const start = this.#at;
    this.#at += 1;
    for (;;) {
      const char = this.#text[this.#at] ?? "";
      if (char === "" || char < " ") throw this.#unexpected("in string literal");
      this.#at += 1;
      if (char === '"') return JSON.parse(this.#text.slice(start, this.#at)) as string;
      if (char === "\\") this.#escape();
    }
  }

  #escape(): void {
    const char = this.#text[this.#at] ?? "";
    if (char === "" || !'"\\/bfnrtu'.includes(char)) throw this.#unexpected("in string escape code");
    this.#at += 1;
    for (let digits = char === "u" ? 4 : 0; digits > 0; digits -= 1) {
      if (!/^[0-9a-fA-F]$/.test(this.#text[this.#at] ?? "")) {
        throw this.#unexpected("in \\u hexadecimal character escape");
      }
      this.#at += 1;
    }
  }

  #literal(word: string): void {
    for (const char of word) {
      if (this.#text[this.#at] !== char) {
        throw this.#unexpected(`in literal ${word} (expecting '${char}')`);
      }
      this.#at += 1;
    }
  }

  #number(): void {
    if (this.#text[this.#at] === "-") this.#at += 1;
    if (this.#text[this.#at] === "0") this.#at += 1;
    else this.#digits("in numeric literal");
    if (this.#text[this.#at] === ".") {
      this.#at += 1;
      this.#digits("after decimal point in numeric literal");
    }
    if (this.#text[this.#at] === "e" || this.#text[this.#at] === "E") {
      this.#at += 1;
      if (this.#text[this.#at] === "+" || this.#text[this.#at] === "-") this.#at += 1;
      this.#digits("in exponent of numeric literal");
    }
  }

  #digits(where: string): void {
    if (!isDigit(this.#text[this.#at] ?? "")) throw this.#unexpected(where);
    while (isDigit(this.#text[this.#at] ?? "")) this.#at += 1;
  }
}

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9";
}
