import { describe, expect, test } from "bun:test";
import { assert, json, property, string } from "fast-check";
import { JsonTextError, MAX_JSON_DEPTH, parseJsonText } from "./json-text.ts";

function errorOf(text: string): string {
  try {
    parseJsonText(text);
  } catch (error) {
    if (error instanceof JsonTextError) return error.message;
    throw error;
  }
  return "no error";
}

describe("parseJsonText()", () => {
  test.each([
    ['{"a":1,"a":2}', ["a"]],
    [
      '{"spec":{"containers":[{"name":"x"},{"name":"a:\\"b","image":"1","image":"2"}]}}',
      ["spec.containers[1].image"],
    ],
    ['{"a":{"b":1,"b":2,"c":3},"a":4}', ["a.b", "a"]],
    ['{"a\\u0062":1,"ab":2}', ["ab"]],
    ['{"__proto__":1,"__proto__":2}', ["__proto__"]],
    ['[[{"x":1,"x":1}]]', ["[0][0].x"]],
    ['{"a":"\\"a\\":","b":["x:y"]}', []],
  ])("finds the duplicates of %s", (text, duplicates) => {
    expect(parseJsonText(text)).toEqual({ value: JSON.parse(text), duplicates });
  });

  // The texts are those of Go's scanner (encoding/json/scanner.go).
  test.each([
    ["", "unexpected end of JSON input"],
    ["{", "unexpected end of JSON input"],
    ['"abc', "unexpected end of JSON input"],
    ["apiVersion: v1", "invalid character 'a' looking for beginning of value"],
    ["{a:1}", "invalid character 'a' looking for beginning of object key string"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b":2}', `invalid character '"' after object key:value pair`],
    ["[1 2]", "invalid character '2' after array element"],
    ["[1]]", "invalid character ']' after top-level value"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ["nul", "unexpected end of JSON input"],
    ["trux", "invalid character 'x' in literal true (expecting 'e')"],
    ["-x", "invalid character 'x' in numeric literal"],
    ["1.x", "invalid character 'x' after decimal point in numeric literal"],
    ["1ex", "invalid character 'x' in exponent of numeric literal"],
    ["01", "invalid character '1' after top-level value"],
    ["'", "invalid character '\\'' looking for beginning of value"],
  ])("refuses %p as Go does", (text, message) => {
    expect(errorOf(text)).toBe(message);
  });

  test("bounds the nesting without overflowing the stack", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(errorOf(nested(MAX_JSON_DEPTH))).toBe("no error");
    expect(errorOf(nested(MAX_JSON_DEPTH + 1))).toBe("exceeded max depth");
    expect(errorOf("[".repeat(1_000_000))).toBe("exceeded max depth");
    expect(errorOf('{"a":'.repeat(1_000_000))).toBe("exceeded max depth");
  });

  test("gives what JSON.parse gives, and finds nothing wrong with it", () => {
    assert(
      property(json(), (text) => {
        expect(parseJsonText(text)).toEqual({ value: JSON.parse(text), duplicates: [] });
      }),
    );
  });

  test("accepts a text if and only if JSON.parse does", () => {
    assert(
      property(string({ unit: "grapheme-ascii" }), (tail) => {
        for (const text of [tail, `{"a":${tail}}`, `["${tail}"]`, `{"${tail}":1}`]) {
          const message = errorOf(text);
          expect(message).not.toBe("invalid JSON");
          expect(message === "no error").toBe(isJson(text));
        }
      }),
    );
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
