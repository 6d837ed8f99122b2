import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { accessLogParser } from "./access-log.ts";

const AT = "[21/Nov/2026:09:48:00 +0000]";
const TIME = "2026-11-21T09:48:00Z";
const REQUEST = { method: "GET", path: "/a?b=c", protocol: "HTTP/1.1" };
const AGENT = '"http://a.example/" "Mozilla/5.0 (X11)"';
const combined = accessLogParser("combined");
const common = accessLogParser("common");

function fieldsOf(text: string): unknown {
  const { time, fields, problem } = combined(text);
  expect([time, problem]).toEqual([TIME, undefined]);
  return fields;
}

describe("a line of nginx's or Apache's access log", () => {
  test("gives its parts, numbers as numbers", () => {
    expect(combined(`192.0.2.7 - - ${AT} "GET /a?b=c HTTP/1.1" 200 5316 ${AGENT}`)).toEqual({
      time: TIME,
      fields: {
        client: "192.0.2.7",
        ...REQUEST,
        status: 200,
        bytes: 5316,
        referer: "http://a.example/",
        userAgent: "Mozilla/5.0 (X11)",
      },
      problem: undefined,
    });
  });

  test.each<[string, string, object]>([
    [
      "a user",
      `::1 - bob ${AT} "GET /a?b=c HTTP/1.1" 200 1 "-" "-"`,
      { client: "::1", user: "bob", ...REQUEST, status: 200, bytes: 1 },
    ],
    [
      "an ident and a user with spaces",
      `h.example id bob b. ${AT} "GET /a?b=c HTTP/1.1" 200 1 "-" "-"`,
      { client: "h.example", ident: "id", user: "bob b.", ...REQUEST, status: 200, bytes: 1 },
    ],
    [
      "what a log format adds",
      `1.2.3.4 - - ${AT} "GET /a?b=c HTTP/1.1" 304 0 "-" "curl" "198.51.100.1, 10.0.0.1" rt=0.002`,
      {
        client: "1.2.3.4",
        ...REQUEST,
        status: 304,
        bytes: 0,
        userAgent: "curl",
        extra: '"198.51.100.1, 10.0.0.1" rt=0.002',
      },
    ],
    [
      "TLS to a plain port, as it was written",
      `1.2.3.4 - - ${AT} "\\x16\\x03\\x01\\x02" 400 157 "-" "-"`,
      { client: "1.2.3.4", request: "\\x16\\x03\\x01\\x02", status: 400, bytes: 157 },
    ],
    [
      "no request",
      `1.2.3.4 - - ${AT} "-" 408 0 "-" "-"`,
      { client: "1.2.3.4", request: "-", status: 408, bytes: 0 },
    ],
    [
      "an empty request",
      `1.2.3.4 - - ${AT} "" 400 0 "-" "-"`,
      { client: "1.2.3.4", request: "", status: 400, bytes: 0 },
    ],
    [
      "HTTP/0.9",
      `1.2.3.4 - - ${AT} "GET /" 200 7 "-" "-"`,
      { client: "1.2.3.4", method: "GET", path: "/", status: 200, bytes: 7 },
    ],
    [
      "a path with spaces",
      `1.2.3.4 - - ${AT} "GET /a b HTTP/1.1" 400 7 "-" "-"`,
      { client: "1.2.3.4", method: "GET", path: "/a b", protocol: "HTTP/1.1", status: 400, bytes: 7 },
    ],
    [
      "escapes of nginx and Apache",
      `1.2.3.4 - - ${AT} "GET /\\xC3\\xA9\\xFF\\x22 HTTP/1.1" 200 7 "-" "a \\"b\\" \\\\ \\t"`,
      { client: "1.2.3.4", ...REQUEST, path: '/é\\xFF"', status: 200, bytes: 7, userAgent: 'a "b" \\ \t' },
    ],
    [
      "Apache's dash for no bytes",
      `h - - ${AT} "GET /a?b=c HTTP/1.1" 304 -`,
      { client: "h", ...REQUEST, status: 304, bytes: 0 },
    ],
    [
      "Apache's dash for no status",
      `h - - ${AT} "GET /a?b=c HTTP/1.1" - 5`,
      { client: "h", ...REQUEST, bytes: 5 },
    ],
    [
      "a time within a user's name",
      `h - a [x] ${AT} "GET /a?b=c HTTP/1.1" 200 5`,
      { client: "h", user: "a [x]", ...REQUEST, status: 200, bytes: 5 },
    ],
  ])("may hold %s", (_what, text, expected) => {
    expect(fieldsOf(text)).toEqual(expected);
  });

  test("in common format has no referer: what follows is extra", () => {
    const { fields } = common(`192.0.2.7 - - ${AT} "GET /a?b=c HTTP/1.1" 200 5 ${AGENT}`);
    expect(fields).toEqual({ client: "192.0.2.7", ...REQUEST, status: 200, bytes: 5, extra: AGENT });
  });

  test.each([
    "",
    "hello",
    `${AT} "GET / HTTP/1.1" 200 5`,
    `h ${AT} "GET / HTTP/1.1" 200 5`,
    `h - - ${AT} "GET / HTTP/1.1 200 5`,
    `h - - ${AT} "GET / HTTP/1.1" 200`,
    `h - - ${AT} "GET / HTTP/1.1" 20x 5`,
    `h - - [31/Feb/2026:09:48:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-"`,
    `h - - [2026-11-21T09:48:00+00:00] "GET / HTTP/1.1" 200 5`,
  ])("is kept where it is none: %j", (text) => {
    expect(combined(text)).toEqual({
      time: undefined,
      fields: { message: text },
      problem: "not a line of an access log",
    });
  });
});

test("ordinary lines are read the same by either way of reading", () => {
  const word = fc.stringMatching(/^[A-Za-z0-9/?=.:;%-]{1,12}$/);
  const quoted = fc.stringMatching(/^[A-Za-z0-9 ()/;-]{1,20}$/);
  fc.assert(
    fc.property(word, word, word, quoted, quoted, (client, user, path, referer, agent) => {
      const line = `${client} - ${user} ${AT} "GET ${path} HTTP/2.0" 200 12 "${referer}" "${agent}"`;
      // An escape anywhere takes the slow way.
      const slow = combined(`${line} \\`);
      expect(slow.fields["extra"]).toBe("\\");
      expect<object>({ ...combined(line).fields, extra: "\\" }).toEqual(slow.fields);
      expect(Object.keys(combined(line).fields)).toEqual(Object.keys(slow.fields).slice(0, -1));
    }),
  );
});
