import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { FakeHost } from "../../../testing/fake-host.ts";
import { sinksConfig } from "./config.ts";
import { createSinks } from "./create-sinks.ts";

function issuesOf(to: unknown): string[] {
  const result = sinksConfig().safeParse(to);
  return result.success
    ? []
    : result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("sinksConfig()", () => {
  test("fills in defaults per sink", () => {
    const [sink] = sinksConfig().parse([{ http: { url: "https://logs.internal/in" } }]);
    expect(sink).toEqual({
      http: {
        url: "https://logs.internal/in",
        headers: {},
        compress: "none",
        timeout: 10_000,
        batch: { size: 1_048_576, records: 10_000, wait: 1_000 },
        format: "ndjson",
      },
    });
  });

  const types = "stdout, file, http, loki, elasticsearch, otlp, syslog";
  test.each([
    [[], [`: Write at least one sink, one of ${types}`]],
    [[{}], [`0: Write one sink per entry of the list, one of ${types}`]],
    [[{ stdout: {}, file: { path: "/x" } }], [`0: Write one sink per entry of the list, one of ${types}`]],
    [[{ lokki: {} }], ['0: Unrecognized key: "lokki"']],
    [
      [{ http: { url: "logs.internal" } }],
      [
        '0.http.url: Write an address that begins with http:// or https://, for example "https://logs.internal/in"',
      ],
    ],
    [
      [{ http: { url: "https://ada:pw@logs.internal" } }],
      ["0.http.url: Take the user and the password out of the address and put them into `auth`"],
    ],
    [
      [{ http: { url: "http://h", auth: {} } }],
      ["0.http.auth: Write exactly one of `bearer`, `basic` and `apiKey`"],
    ],
    [
      [{ http: { url: "http://h", headers: { Host: "x" } } }],
      ["0.http.headers.Host: Leave this header to Pillion"],
    ],
    [
      [{ http: { url: "http://h", headers: { "X A": "x" } } }],
      ["0.http.headers.X A: Write the name of a header, for example `X-Source`"],
    ],
    [
      [{ http: { url: "http://h", tls: { cert: "/c" } } }],
      ["0.http.tls: Write both `cert` and `key`, or none"],
    ],
    [[{ http: { url: "http://h", timeout: "0s" } }], ["0.http.timeout: Write a time longer than nothing"]],
    [
      [{ loki: { url: "http://h", labels: { "a-b": "c" } } }],
      ["0.loki.labels.a-b: Write a label's name: letters, digits and underscores"],
    ],
    [
      [{ loki: { url: "http://h", compress: "zstd" } }],
      ['0.loki.compress: Invalid option: expected one of "gzip"|"none"'],
    ],
    [
      [{ syslog: { address: "udp://h:514" } }],
      ['0.syslog.address: Write for example "tcp://syslog:514" or "tls://syslog:6514"'],
    ],
    [
      [{ syslog: { address: "tcp://h:0" } }],
      ['0.syslog.address: Write for example "tcp://syslog:514" or "tls://syslog:6514"'],
    ],
    [
      [{ syslog: { address: "tcp://h", tls: {} } }],
      ["0.syslog.tls: Write `tls://` in the address, or leave `tls` out"],
    ],
    [
      [{ file: { path: "app.log" } }],
      ['0.file.path: Write a path from the root, for example "/var/log/app.log"'],
    ],
  ])("explains %j", (to, issues) => {
    const found = issuesOf(to);
    // A record's bad key comes with zod's own words and the reason within.
    expect(found.length).toBe(issues.length);
    for (const [index, issue] of issues.entries()) {
      if (!found[index]?.includes("Invalid key in record")) expect(found[index]).toBe(issue);
    }
  });

  test.each(["logs-app-default", "app-%{yyyy.MM.dd}", "%{yyyy}%{MM}", "a.b_c-1"])(
    "takes the index %s",
    (index) => {
      expect(issuesOf([{ elasticsearch: { url: "http://h", index } }])).toEqual([]);
    },
  );

  test.each([
    "Logs",
    "-a",
    "_a",
    "+a",
    ".",
    "..",
    "a b",
    "a/b",
    "a*",
    "a,b",
    "a#b",
    "a:b",
    "%{yy}",
    "a%",
    "a%{yyyy",
    "",
  ])("refuses the index %p", (index) => {
    expect(issuesOf([{ elasticsearch: { url: "http://h", index } }]).length).toBe(1);
  });

  test("becomes a JSON schema", () => {
    const schema = JSON.stringify(z.toJSONSchema(sinksConfig(), { io: "input" }));
    expect(schema).toContain('"maxProperties":1');
    expect(schema).toContain('"default":"10s"');
  });
});

test("createSinks() names sinks by their type, numbered from the second on", () => {
  using host = new FakeHost();
  const http = { http: { url: "http://h" } };
  const to = sinksConfig().parse([
    { stdout: {} },
    http,
    { file: { path: "/x" } },
    http,
    { loki: { url: "http://h" } },
    http,
    { elasticsearch: { url: "http://h", index: "x" } },
    { otlp: { url: "http://h" } },
    { syslog: { address: "tcp://[::1]" } },
  ]);
  expect(createSinks(to, { host }).map(({ name }) => name)).toEqual([
    "stdout",
    "http",
    "file",
    "http-2",
    "loki",
    "http-3",
    "elasticsearch",
    "otlp",
    "syslog",
  ]);
});
