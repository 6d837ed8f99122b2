import { describe, expect, test } from "bun:test";
import {
  checkConfigMapKey,
  checkDns1035Label,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkEnvName,
  checkLabelValue,
  checkPortName,
  checkQualifiedName,
  isIp,
  type NameCheck,
} from "./names.ts";

const cases: readonly (readonly [NameCheck, readonly string[], readonly string[]])[] = [
  [checkDns1123Label, ["a", "0-a", "a".repeat(63)], ["", "A", "-a", "a-", "a.b", "a".repeat(64), "ä", "a\n"]],
  [
    checkDns1123Subdomain,
    ["a", "a.b-c.0", "a".repeat(253)],
    ["", "a..b", ".a", "a.", "A", "a".repeat(254), "a_b"],
  ],
  [checkDns1035Label, ["a", "a-0"], ["0a", "", "a.b"]],
  [
    checkQualifiedName,
    ["a", "A_b.c-d", "example.com/A"],
    ["", "/a", "a/", "a/b/c", "-a", "a b", "E.com/a", "a".repeat(64)],
  ],
  [checkLabelValue, ["", "a", "A_b.c"], ["-", "a b", "a/b", "a".repeat(64)]],
  [checkEnvName, ["A", "1", "a b", "my.env-name"], ["", "a=b", "ä", "a\tb"]],
  [checkConfigMapKey, ["a.txt", "_", ".env"], ["", ".", "..", "..a", "a/b", "a".repeat(254)]],
  [checkPortName, ["http", "a-1"], ["", "1", "HTTP", "a--b", "-a", "a-", "abcdefghijklmnop"]],
];

describe.each(cases)("%p", (check, good, bad) => {
  test.each([...good])("accepts %p", (value) => {
    expect(check(value)).toEqual([]);
  });
  test.each([...bad])("refuses %p", (value) => {
    expect(check(value)).not.toEqual([]);
  });
});

test("checks say what the real server says", () => {
  expect(checkDns1123Label("Web")).toEqual([
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  ]);
  expect(checkDns1123Label("a.b")).toEqual(["must not contain dots"]);
  expect(checkDns1123Subdomain("a".repeat(254))).toEqual(["must be no more than 253 bytes"]);
});

test("isIp() takes what Go's strict parser takes", () => {
  expect(["10.0.0.1", "::1", "2001:db8::ffff", "::ffff:1.2.3.4"].map(isIp)).toEqual([true, true, true, true]);
  expect(["", "010.0.0.1", "256.0.0.1", "1.2.3", "fe80::1%eth0", "localhost", ":"].map(isIp)).toEqual(
    Array.from({ length: 7 }, () => false),
  );
});
