import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { z } from "zod";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { parseKeys } from "./config.ts";
import { createParser } from "./create-parser.ts";
import type { Parser } from "./parser.ts";

const Keys = z.strictObject(parseKeys);
const clock = new ManualClock(Date.UTC(2026, 10, 21, 9, 48));

function parserOf(config: z.input<typeof Keys>): Parser {
  return createParser(Keys.parse(config), clock);
}

/** Cases of one parser: time and fields. */
function understands(
  config: z.input<typeof Keys>,
  cases: readonly (readonly [string, string | undefined, object])[],
): void {
  const parse = parserOf(config);
  test.each([...cases])("%j", (text, time, fields) => {
    expect(parse(text)).toEqual({ time, fields: fields as never, problem: undefined });
  });
}

function keeps(config: z.input<typeof Keys>, cases: readonly (readonly [string, string])[]): void {
  const parse = parserOf(config);
  test.each([...cases])("%j is kept", (text, problem) => {
    expect(parse(text)).toEqual({ time: undefined, fields: { message: text }, problem });
  });
}

describe("none", () => {
  understands({}, [["anything at all", undefined, { message: "anything at all" }]]);
});

describe("json", () => {
  understands({ parse: "json", timeZone: "Europe/Berlin" }, [
    ['{"a":1,"b":{"c":[true,null]}}', undefined, { a: 1, b: { c: [true, null] } }],
    ['{"time":"2026-11-21T09:48:00.5Z","m":1}', "2026-11-21T09:48:00.5Z", { m: 1 }],
    ['{"ts":1795254480.25}', "2026-11-21T09:48:00.25Z", {}],
    ['{"timestamp":1795254480123}', "2026-11-21T09:48:00.123Z", {}],
    ['{"ts":1795254480123456789}', "2026-11-21T09:48:00.123456789Z", {}],
    ['{"@timestamp":"2026-11-21 09:48:00,1"}', "2026-11-21T09:48:00.1+01:00", {}],
    ['{"ts":1795254480,"time":"2026-01-01T00:00:00Z"}', "2026-01-01T00:00:00Z", { ts: 1_795_254_480 }],
    ['{"time":0.005,"ts":1795254480}', "2026-11-21T09:48:00Z", { originalTime: 0.005 }],
    ['{"time":{"s":1},"originalTime":2}', undefined, { originalTime: [2, { s: 1 }] }],
    [
      '{"a":9007199254740991,"b":-9007199254740991,"c":1e15}',
      undefined,
      { a: 9007199254740991, b: -9007199254740991, c: 1e15 },
    ],
    [
      '{"a":9007199254740993,"b":[-12345678901234567890]}',
      undefined,
      { a: "9007199254740993", b: ["-12345678901234567890"] },
    ],
    [
      '{"a":1e400,"b":1e20,"c":"12345678901234567890"}',
      undefined,
      { a: "1e400", b: 1e20, c: "12345678901234567890" },
    ],
    ['{"a":1,"a":2}', undefined, { a: 2 }],
    [' {"a":"\\ud83d\\ude00"} ', undefined, { a: "😀" }],
    ["{}", undefined, {}],
  ]);
  understands({ parse: { json: { time: "at", timeFormat: "unix_ms" } } }, [
    ['{"at":5,"ts":1795254480}', "1970-01-01T00:00:00.005Z", { ts: 1_795_254_480 }],
    ['{"at":"5","time":"x"}', "1970-01-01T00:00:00.005Z", { originalTime: "x" }],
  ]);
  keeps({ parse: "json" }, [
    ["[1]", "not a JSON object"],
    ["7", "not a JSON object"],
    ["null", "not a JSON object"],
    ['{"a":1', "not JSON"],
    ["{'a':1}", "not JSON"],
    ["", "not JSON"],
    [`{"a":${"[".repeat(150)}${"]".repeat(150)}}`, "JSON that is nested too deep"],
    [`{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}`, "JSON that is nested too deep"],
  ]);

  test("names that objects have by themselves are ordinary ones", () => {
    for (const text of [
      '{"__proto__":{"a":1},"constructor":2}',
      '{"__proto__":{"a":1},"n":12345678901234567890}',
    ]) {
      const { fields } = parserOf({ parse: "json" })(text);
      expect(Object.keys(fields)[0]).toBe("__proto__");
      expect(Object.getPrototypeOf(fields)).toBe(Object.prototype);
      expect(fields["a"]).toBeUndefined();
      expect(JSON.stringify(fields)).toBe(text.replace("12345678901234567890", '"12345678901234567890"'));
    }
  });

  test("what was an object is one again", () => {
    const parse = parserOf({ parse: { json: { time: "no such field" } } });
    const isPlain = (text: string): boolean => !text.includes('"time"') && !text.includes("-0");
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), (value) => {
        const text = JSON.stringify(value);
        fc.pre(isPlain(text));
        const { fields, problem } = parse(text);
        expect(problem).toBeUndefined();
        // Numbers beyond 2^53 print differently: as the text that stood there.
        const back = JSON.stringify(fields).replaceAll(/"(-?\d{16,})"/g, "$1");
        expect(back).toBe(text.replaceAll(/"(-?\d{16,})"/g, "$1"));
      }),
    );
  });
});

describe("logfmt", () => {
  understands({ parse: "logfmt" }, [
    [
      'time=2026-11-21T09:48:00Z level=info msg="a \\"b\\"\\n" n=5 ok empty= path=/a=b',
      "2026-11-21T09:48:00Z",
      { level: "info", msg: 'a "b"\n', n: "5", ok: true, empty: "", path: "/a=b" },
    ],
    ["ts=1795254480.5 a=1  b=2 ", "2026-11-21T09:48:00.5Z", { a: "1", b: "2" }],
    ["a=1 a=2 a=3 b", undefined, { a: ["1", "2", "3"], b: true }],
    ['a="\\q\\u00e9"', undefined, { a: "qu00e9" }],
    ['a="\\u00e9"b=2', undefined, { a: "é", b: "2" }],
    ["time=soon a=1", undefined, { a: "1", originalTime: "soon" }],
  ]);
  understands({ parse: { logfmt: { time: "at", timeFormat: "%d.%m.%Y" } } }, [
    ["at=21.11.2026 x=y", "2026-11-21T00:00:00Z", { x: "y" }],
  ]);
  keeps({ parse: "logfmt" }, [
    ["just some words", "not logfmt: no pair of name and value"],
    ["=x", "not logfmt: a value without a name"],
    ['a="b', "not logfmt: a quote that does not end"],
    ['a="b\\"', "not logfmt: a quote that does not end"],
    ["", "not logfmt: no pair of name and value"],
  ]);

  test("what was written is read", () => {
    const parse = parserOf({ parse: { logfmt: { time: "no such field" } } });
    const name = fc.stringMatching(/^[a-z_@.-]{1,8}$/).filter((name) => name !== "time");
    fc.assert(
      fc.property(fc.dictionary(name, fc.string({ unit: "binary" }), { minKeys: 1 }), (value) => {
        const text = Object.entries(value)
          .map(([key, each]) => `${key}=${JSON.stringify(each)}`)
          .join(" ");
        expect(parse(text).fields).toEqual({ ...value });
      }),
    );
  });
});

describe("nginx-error", () => {
  const head = "2026/11/21 09:48:00 [error] 31#32: *7 ";
  const ids = { level: "error", pid: 31, tid: 32, connection: 7 };
  understands({ parse: "nginx-error", timeZone: "Europe/Berlin" }, [
    [
      "2026/11/21 09:48:00 [notice] 1#1: start worker processes",
      "2026-11-21T09:48:00+01:00",
      { level: "notice", pid: 1, tid: 1, message: "start worker processes" },
    ],
    [
      `${head}open() "/x, y" failed (2: No such file), client: 192.0.2.7, server: _, request: "GET /a"b HTTP/1.1", subrequest: "/s", upstream: "http://10.0.0.1:80/a", host: "h", referrer: "http://r/"`,
      "2026-11-21T09:48:00+01:00",
      {
        ...ids,
        message: 'open() "/x, y" failed (2: No such file)',
        client: "192.0.2.7",
        server: "_",
        request: 'GET /a"b HTTP/1.1',
        subrequest: "/s",
        upstream: "http://10.0.0.1:80/a",
        host: "h",
        referrer: "http://r/",
      },
    ],
    [
      `${head}x, client: somebody said, client: 2001:db8::7, server: `,
      "2026-11-21T09:48:00+01:00",
      { ...ids, message: "x, client: somebody said", client: "2001:db8::7", server: "" },
    ],
    [
      `${head}x, client: unix:, server: _`,
      "2026-11-21T09:48:00+01:00",
      { ...ids, message: "x", client: "unix:", server: "_" },
    ],
  ]);
  keeps({ parse: "nginx-error" }, [
    ["nginx: [emerg] bind() failed", "not a line of an nginx error log"],
    ["2026/02/30 09:48:00 [error] 1#1: x", "not a line of an nginx error log"],
  ]);
});

describe("apache-error", () => {
  understands({ parse: "apache-error" }, [
    [
      "[Sat Nov 21 09:48:00.123456 2026] [core:error] [pid 35:tid 140] (13)Permission denied: [client 192.0.2.7:5100] AH00035: access denied, referer: http://r/",
      "2026-11-21T09:48:00.123456Z",
      {
        module: "core",
        level: "error",
        pid: 35,
        tid: 140,
        error: "(13)Permission denied",
        client: "192.0.2.7",
        port: 5100,
        code: "AH00035",
        message: "access denied",
        referer: "http://r/",
      },
    ],
    [
      "[Sat Nov 21 09:48:00.1 2026] [mpm_event:notice] [pid 1] AH00489: Apache configured -- resuming",
      "2026-11-21T09:48:00.1Z",
      {
        module: "mpm_event",
        level: "notice",
        pid: 1,
        code: "AH00489",
        message: "Apache configured -- resuming",
      },
    ],
    [
      "[Sat Nov 21 09:48:00 2026] [ssl:trace8] [pid 1:tid 2] ssl_engine.c(123): [client 2001:db8::7:443] message",
      "2026-11-21T09:48:00Z",
      {
        module: "ssl",
        level: "trace8",
        pid: 1,
        tid: 2,
        source: "ssl_engine.c(123)",
        client: "2001:db8::7",
        port: 443,
        message: "message",
      },
    ],
    [
      "[Wed Oct  1 14:32:52 2025] [error] [client 127.0.0.1] client denied: /x",
      "2025-10-01T14:32:52Z",
      { level: "error", client: "127.0.0.1", message: "client denied: /x" },
    ],
  ]);
  keeps({ parse: "apache-error" }, [
    ["AH00558: Could not determine the name", "not a line of an Apache error log"],
  ]);
});

describe("syslog", () => {
  const auth = { facility: "auth", level: "crit" };
  understands({ parse: "syslog", timeZone: "Europe/Berlin" }, [
    [
      "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
      "2026-10-11T22:14:15+02:00",
      { ...auth, host: "mymachine", app: "su", message: "'su root' failed" },
    ],
    [
      "<13>Nov 21 09:48:00 sshd[812]: from /dev/log",
      "2026-11-21T09:48:00+01:00",
      { facility: "user", level: "notice", app: "sshd", pid: 812, message: "from /dev/log" },
    ],
    [
      "Nov  1 09:48:00 2001:db8::7 CRON[1]: (root) CMD",
      "2026-11-01T09:48:00+01:00",
      { host: "2001:db8::7", app: "CRON", pid: 1, message: "(root) CMD" },
    ],
    [
      "2026-11-21T09:48:00.123456+00:00 node postfix/smtpd[5]: x: y",
      "2026-11-21T09:48:00.123456Z",
      { host: "node", app: "postfix/smtpd", pid: 5, message: "x: y" },
    ],
    [
      "<13>Nov 21 09:48:00 node no tag here",
      "2026-11-21T09:48:00+01:00",
      { facility: "user", level: "notice", host: "node", message: "no tag here" },
    ],
    ["<191>just a message", undefined, { facility: "local7", level: "debug", message: "just a message" }],
    ["<11>", undefined, { facility: "user", level: "error", message: "" }],
    [
      '<34>1 2026-11-21T09:48:00.003Z h.example su 17 ID47 [a@1 x="1" y="\\"\\]\\\\"][b@2 ip="a" ip="b"] \uFEFFmessage',
      "2026-11-21T09:48:00.003Z",
      {
        ...auth,
        host: "h.example",
        app: "su",
        pid: 17,
        msgid: "ID47",
        structured: { "a@1": { x: "1", y: '"]\\' }, "b@2": { ip: ["a", "b"] } },
        message: "message",
      },
    ],
    ["<34>1 - - - - - -", undefined, { ...auth, message: "" }],
    ["<34>1 2026-11-21T09:48:00Z - - - - - [x] y", "2026-11-21T09:48:00Z", { ...auth, message: "[x] y" }],
    [
      "<34>1 2026-11-21T09:48:00Z - - - - [x y]",
      undefined,
      { ...auth, message: "1 2026-11-21T09:48:00Z - - - - [x y]" },
    ],
  ]);
  keeps({ parse: "syslog" }, [
    ["hello", "not a syslog message"],
    ["<192>Nov 21 09:48:00 h t: x", "not a syslog message"],
    ["", "not a syslog message"],
  ]);

  test("what was written as RFC 5424 is read", () => {
    const word = fc.stringMatching(/^[!-~]{1,20}$/).filter((word) => word !== "-");
    const name = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_@.-]{0,10}$/);
    const value = fc.string({ unit: "grapheme" });
    const data = fc.dictionary(name, fc.dictionary(name, value), { maxKeys: 3 });
    fc.assert(
      fc.property(word, word, data, value, (host, app, structured, message) => {
        const escaped = (text: string) => text.replaceAll(/["\\\]]/g, "\\$&");
        const elements = Object.entries(structured).map(
          ([id, parameters]) =>
            `[${id}${Object.entries(parameters)
              .map(([key, text]) => ` ${key}="${escaped(text)}"`)
              .join("")}]`,
        );
        const text = `<14>1 2026-11-21T09:48:00Z ${host} ${app} - - ${elements.join("") || "-"} ${message}`;
        const { fields } = parserOf({ parse: "syslog" })(text);
        expect([fields["host"], fields["app"], fields["message"]]).toEqual([host, app, message]);
        expect(JSON.stringify(fields["structured"] ?? {})).toBe(JSON.stringify(structured));
      }),
    );
  });
});

describe("regex", () => {
  const regex = "^(?P<level>\\w+) (?:(?<took>\\S+)ms )?(?<ok>\\S+) (?<at>\\S+) (?<message>.*)$";
  const types = { took: "number", ok: "boolean" } as const;
  understands({ parse: { regex, types, time: "at", timeFormat: "%d.%m.%y" } }, [
    [
      "INFO 1.5ms true 21.11.26 all well",
      "2026-11-21T00:00:00Z",
      { level: "INFO", took: 1.5, ok: true, message: "all well" },
    ],
    ["INFO yes later x", undefined, { level: "INFO", ok: "yes", at: "later", message: "x" }],
    [
      "INFO 12345678901234567890ms false - ",
      undefined,
      { level: "INFO", took: "12345678901234567890", ok: false, at: "-", message: "" },
    ],
  ]);
  understands({ parse: { regex: "(?<__proto__>x)(?<time>\\d*)" } }, [
    ["yx1795254480", "2026-11-21T09:48:00Z", JSON.parse('{"__proto__":"x"}')],
  ]);
  keeps({ parse: { regex: "(?<a>\\d)" } }, [["none", "the pattern does not match"]]);

  test("is linear whatever the pattern", () => {
    const text = `${"a".repeat(20_000)}!`;
    expect(parserOf({ parse: { regex: "^(?<x>(a+)+)$" } })(text).problem).toBe("the pattern does not match");
  });
});

describe("no text makes a parser throw or lose it:", () => {
  const fragment = fc.constantFrom(
    "<34>",
    "1 ",
    "Nov 21 09:48:00 ",
    "2026/11/21 09:48:00 ",
    "[error] ",
    "1#1: ",
    "*1 ",
    ", client: ",
    "[21/Nov/2026:09:48:00 +0000]",
    ' "',
    "GET / HTTP/1.1",
    '" ',
    "200 ",
    "5",
    "h - - ",
    '{"a":',
    "}",
    "a=",
    "\\x",
    "\\",
    '[x y="',
    "]",
    "[Sat Nov 21 09:48:00 2026] ",
    "[core:error] ",
    "(1)",
    "\0",
    "__proto__",
    "é",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fragment, { maxLength: 12 }).map((parts) => parts.join("")),
  );

  test.each<[string, z.input<typeof Keys>]>([
    ...(
      ["none", "json", "logfmt", "common", "combined", "nginx-error", "apache-error", "syslog"] as const
    ).map((parse) => [parse, { parse }] as [string, z.input<typeof Keys>]),
    ["regex", { parse: { regex: "(?<a>.*) (?<time>.*)" } }],
  ])("%s", (_name, config) => {
    const parse = parserOf(config);
    fc.assert(
      fc.property(text, (text) => {
        const { time, fields, problem } = parse(text);
        if (problem !== undefined) expect([time, fields]).toEqual([undefined, { message: text }]);
        expect(Object.hasOwn(fields, "time")).toBe(false);
        expect(Object.getPrototypeOf(fields)).toBe(Object.prototype);
        expect(() => JSON.stringify(fields)).not.toThrow();
        // Answers do not depend on what was asked before.
        expect(parse(text)).toEqual({ time, fields, problem });
      }),
      { numRuns: 300 },
    );
  });

  test.each(["json", "logfmt", "combined", "nginx-error", "apache-error", "syslog"] as const)(
    "%s takes time in proportion to a text made to be slow",
    (parse) => {
      const evil = [
        `{"a":[${"0,".repeat(100_000)}`,
        "a=".repeat(100_000),
        `a="${'\\"'.repeat(100_000)}`,
        `h - - ${'[21/Nov/2026:09:48:00 +0000] "'.repeat(8_000)}`,
        `h - - [21/Nov/2026:09:48:00 +0000] "${"\\".repeat(200_000)}"`,
        `h - ${" [".repeat(100_000)}`,
        `2026/11/21 09:48:00 [error] 1#1: ${", client: ".repeat(20_000)}`,
        `[Sat Nov 21 09:48:00 2026] [core:error] ${"(1)".repeat(60_000)}`,
        `<34>1 - - - - - ${'[a b="'.repeat(30_000)}`,
        `<34>1 - - - - - [a${' b="c"'.repeat(30_000)}`,
        `<34>Nov 21 09:48:00 ${"a".repeat(200_000)}`,
        "\\x41".repeat(50_000),
      ];
      const parser = parserOf({ parse });
      for (const text of evil) {
        const from = performance.now();
        parser(text);
        expect(performance.now() - from).toBeLessThan(1_000);
      }
    },
  );
});
