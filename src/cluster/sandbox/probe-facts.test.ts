import { expect, test } from "bun:test";
import { hasSubordinateIds, heldIds, nameOfUser, outsideId, readMachineFacts } from "./probe-facts.ts";

const WHOLE = "         0          0 4294967295\n";
const ONE = "         0       1000          1\n";
const RANGE = "         0       1000          1\n         1     100000      65535\n";

test("heldIds() tells the machine's own ids from a range and from one", () => {
  expect([WHOLE, ONE, RANGE, ""].map(heldIds)).toEqual(["all", "one", "range", "one"]);
});

test("outsideId() gives the id by which the machine knows one of ours", () => {
  expect([
    outsideId(WHOLE, 33),
    outsideId(ONE, 0),
    outsideId(RANGE, 33),
    outsideId(ONE, 7),
    outsideId("", 7),
  ]).toEqual([33, 1000, 100_032, 7, 7]);
});

test("nameOfUser() reads passwd(5)", () => {
  const passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
  expect([nameOfUser(passwd, 1000), nameOfUser(passwd, 1001)]).toEqual(["ada", undefined]);
});

test.each([
  ["ada:100000:65536\n", true],
  ["bob:100000:65536\n1000:165536:65536\n", true],
  ["bob:100000:65536\n", false],
  ["ada:100000:0\n", false],
  ["ada:x:65536\n", false],
  ["ada\n# comment\n\n", false],
  ["", false],
])("hasSubordinateIds() reads %p as %p for ada, 1000", (text, granted) => {
  expect(hasSubordinateIds(text, { name: "ada", uid: 1000 })).toBe(granted);
});

test("an entry of the empty name grants nothing to a user without a name", () => {
  expect(hasSubordinateIds(":100000:65536\n", { name: undefined, uid: 1000 })).toBe(false);
});

test("readMachineFacts() reads this machine", () => {
  const facts = readMachineFacts();
  expect(facts).toMatchObject({ platform: "linux", arch: process.arch });
  expect(facts.kernel).toMatch(/^\d+\.\d+/);
  expect(facts.unshare).toEndWith("/unshare");
});
