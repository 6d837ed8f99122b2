import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { proxyFrom } from "./proxy.ts";
import { parseChallenges, tokenOf, tokenUrl } from "./registry-auth.ts";

const parse = (header: string): unknown =>
  parseChallenges(header).map(({ scheme, parameters }) => ({ scheme, ...Object.fromEntries(parameters) }));

describe("parseChallenges()", () => {
  test.each<[string, unknown]>([
    ["", []],
    ["Basic", [{ scheme: "basic" }]],
    ['Basic realm="a, b"', [{ scheme: "basic", realm: "a, b" }]],
    [
      'Bearer realm="https://auth.test/token",service="reg",scope="repository:a/b:pull"',
      [{ scheme: "bearer", realm: "https://auth.test/token", service: "reg", scope: "repository:a/b:pull" }],
    ],
    ['BEARER Realm = "x" , service=plain', [{ scheme: "bearer", realm: "x", service: "plain" }]],
    ['Bearer realm="q\\"uote\\\\"', [{ scheme: "bearer", realm: 'q"uote\\' }]],
    [
      'Negotiate, Basic realm="x", Bearer realm="y"',
      [{ scheme: "negotiate" }, { scheme: "basic", realm: "x" }, { scheme: "bearer", realm: "y" }],
    ],
    ['Bearer realm="unclosed', [{ scheme: "bearer" }, { scheme: "realm" }]],
  ])("of %j", (header, challenges) => {
    expect(parse(header)).toEqual(challenges);
  });

  test("comes to an end, whatever a registry sends", () => {
    fc.assert(fc.property(fc.string({ maxLength: 500 }), (header) => Array.isArray(parseChallenges(header))));
    const started = performance.now();
    parseChallenges(`Bearer ${'a="'.repeat(100_000)}`);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

test("tokenUrl() asks for what the challenge says, and refuses places that are no web address", () => {
  const url = (header: string): string | undefined => {
    const [challenge] = parseChallenges(header);
    return challenge === undefined ? undefined : tokenUrl(challenge, "repository:own:pull", "me")?.href;
  };
  expect([
    url('Bearer realm="https://a.test/t",service="s",scope="repository:x:pull repository:y:pull"'),
    url('Bearer realm="https://a.test/t?k=v"'),
    url('Bearer realm="file:///etc/passwd"'),
    url('Bearer realm="nonsense"'),
    url("Bearer"),
  ]).toEqual([
    "https://a.test/t?service=s&scope=repository%3Ax%3Apull&scope=repository%3Ay%3Apull&account=me",
    "https://a.test/t?k=v&scope=repository%3Aown%3Apull&account=me",
    undefined,
    undefined,
    undefined,
  ]);
});

test("tokenOf() takes a token that a header can carry", () => {
  const answers = [
    { token: "a" },
    { access_token: "b" },
    { token: "a", access_token: "b" },
    { token: "" },
    { token: "a b" },
    { token: 1 },
    null,
    "x",
  ];
  expect(answers.map(tokenOf)).toEqual([
    "a",
    "b",
    "a",
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

describe("proxyFrom()", () => {
  const proxy = (variables: Record<string, string>, url: string): string | undefined =>
    proxyFrom(variables)(new URL(url));
  test.each<[string, Record<string, string>, string, string | undefined]>([
    [
      "takes the variable of the scheme",
      { HTTPS_PROXY: "http://p:1", HTTP_PROXY: "http://q:2" },
      "https://a.test",
      "http://p:1",
    ],
    [
      "prefers lower case",
      { https_proxy: "http://low:1", HTTPS_PROXY: "http://up:1" },
      "https://a.test",
      "http://low:1",
    ],
    ["adds a scheme", { HTTP_PROXY: "p:1" }, "http://a.test", "http://p:1"],
    ["is nothing without variables", {}, "https://a.test", undefined],
    ["spares this machine", { HTTP_PROXY: "http://p:1" }, "http://localhost:5000", undefined],
    ["spares this machine's addresses", { HTTP_PROXY: "http://p:1" }, "http://127.3.2.1:5000", undefined],
    [
      "spares exceptions",
      { HTTPS_PROXY: "http://p:1", NO_PROXY: "b.test, a.test" },
      "https://a.test",
      undefined,
    ],
    [
      "spares names below an exception",
      { HTTPS_PROXY: "http://p:1", NO_PROXY: ".a.test" },
      "https://x.a.test",
      undefined,
    ],
    [
      "does not spare names that end alike",
      { HTTPS_PROXY: "http://p:1", NO_PROXY: "a.test" },
      "https://xa.test",
      "http://p:1",
    ],
    [
      "spares a port only",
      { HTTPS_PROXY: "http://p:1", NO_PROXY: "a.test:444" },
      "https://a.test",
      "http://p:1",
    ],
    [
      "spares everything for a star",
      { HTTPS_PROXY: "http://p:1", NO_PROXY: "*" },
      "https://a.test",
      undefined,
    ],
  ])("%s", (_name, variables, url, expected) => {
    expect(proxy(variables, url)).toBe(expected as string);
  });
});
