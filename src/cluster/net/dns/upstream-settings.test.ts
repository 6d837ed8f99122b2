import { expect, test } from "bun:test";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { resolversOf } from "./upstream-settings.ts";

test.each([
  ["nameserver 127.0.0.53\noptions edns0\n", ["127.0.0.53"]],
  ["nameserver 10.0.0.1\nnameserver 10.0.0.1\nnameserver ::1\n", ["10.0.0.1", "::1"]],
  ["nameserver a.b\nnameserver 1\n# nameserver 1.1.1.1\n", ["127.0.0.1"]],
  ["", ["127.0.0.1"]],
  [
    "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4",
    ["1.0.0.1", "1.0.0.2", "1.0.0.3"],
  ],
])("resolversOf() reads %p", (text, servers) => {
  expect(resolversOf(() => text, new ManualClock())()).toEqual(servers);
});

test("resolversOf() follows changes of the file, and its loss", () => {
  const clock = new ManualClock();
  const texts = ["nameserver 10.0.0.1", "nameserver 10.0.0.2"];
  const resolvers = resolversOf(() => {
    const text = texts.shift();
    if (text === undefined) throw new Error("gone");
    return text;
  }, clock);
  expect([resolvers(), resolvers()]).toEqual([["10.0.0.1"], ["10.0.0.1"]]);
  clock.advance(2_000);
  expect(resolvers()).toEqual(["10.0.0.2"]);
  clock.advance(2_000);
  expect(resolvers()).toEqual(["127.0.0.1"]);
});
