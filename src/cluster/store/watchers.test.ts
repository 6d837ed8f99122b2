import { expect, test } from "bun:test";
import { configMap } from "../../testing/store-fixtures.ts";
import { Watchers } from "./watchers.ts";

test("publish() hides a callback's bug from the writer and from other watchers, and reports it", () => {
  const bugs: unknown[] = [];
  const seen: string[] = [];
  const watchers = new Watchers((bug) => bugs.push(bug));
  watchers.add(
    "configmaps",
    {},
    {
      first: [],
      onEvent: () => {
        throw new Error("bug");
      },
    },
  );
  watchers.add("configmaps", {}, { first: [], onEvent: ({ type }) => seen.push(type) });
  const change = { version: 1, resource: "configmaps", key: "default/a", before: undefined, removed: false };
  watchers.publish({ ...change, after: configMap("a") });
  watchers.publish({ ...change, version: 2, before: configMap("a"), after: configMap("a") });
  expect([bugs, seen]).toEqual([
    [new Error("bug"), new Error("bug")],
    ["ADDED", "MODIFIED"],
  ]);
});
