import { describe, expect, test } from "bun:test";
import type { KubeObject } from "../../k8s/object.ts";
import {
  at,
  configMap,
  lineOf,
  openTestStore,
  pod,
  recordWatch,
  statusOf,
} from "../../testing/store-fixtures.ts";
import type { WatchEvent } from "./store.ts";

const isRed = ({ metadata }: KubeObject) => metadata.labels?.["colour"] === "red";

function paint(colour: string): (current: KubeObject) => KubeObject {
  return (current) => ({ ...current, metadata: { ...current.metadata, labels: { colour } } });
}

describe("watch()", () => {
  test("without a version, and with version 0, starts with what is there", () => {
    const store = openTestStore();
    store.create("configmaps", configMap("b"));
    store.create("configmaps", configMap("a"));
    const absent = recordWatch(store, "configmaps", {});
    const zero = recordWatch(store, "configmaps", { resourceVersion: "0" });
    store.delete("configmaps", at("b"));
    const lines = ["ADDED default/a 4", "ADDED default/b 3", "DELETED default/b 5"];
    expect([absent.lines, zero.lines]).toEqual([lines, lines]);
  });

  test("tells what happened since a version, of its own resource and namespace only", () => {
    const store = openTestStore();
    store.create("configmaps", configMap("a"));
    store.create("secrets", { ...configMap("a"), kind: "Secret" });
    store.create("configmaps", configMap("b", { metadata: { namespace: "other" } }));
    store.update("configmaps", at("a"), paint("red"));
    const all = recordWatch(store, "configmaps", { resourceVersion: "3" });
    const some = recordWatch(store, "configmaps", { resourceVersion: "3", namespace: "default" });
    store.create("configmaps", configMap("c", { metadata: { namespace: "other" } }));
    expect([all.lines, some.lines]).toEqual([
      ["ADDED other/b 5", "MODIFIED default/a 6", "ADDED other/c 7"],
      ["MODIFIED default/a 6"],
    ]);
  });

  test("with sendInitialEvents ends what is there with a marked bookmark", () => {
    const store = openTestStore();
    store.create("deployments.apps", { apiVersion: "apps/v1", kind: "Deployment", metadata: at("d") });
    const events: WatchEvent[] = [];
    store.watch("deployments.apps", { sendInitialEvents: true }, (event) => events.push(event));
    expect(events.map(lineOf)).toEqual(["ADDED default/d 3", "BOOKMARK 3"]);
    expect(events[1]?.object).toEqual({
      kind: "Deployment",
      apiVersion: "apps/v1",
      metadata: { resourceVersion: "3", annotations: { "k8s.io/initial-events-end": "true" } },
    });
  });

  test("with sendInitialEvents false starts with what happens next", () => {
    const store = openTestStore();
    store.create("configmaps", configMap("a"));
    const { lines } = recordWatch(store, "configmaps", { sendInitialEvents: false });
    store.create("configmaps", configMap("b"));
    expect(lines).toEqual(["ADDED default/b 4"]);
  });

  test("shows objects that enter and leave a selection as added and deleted", () => {
    const store = openTestStore();
    const events: WatchEvent[] = [];
    store.watch("configmaps", { matches: isRed }, (event) => events.push(event));
    store.create("configmaps", configMap("a"));
    store.update("configmaps", at("a"), paint("red"));
    store.update("configmaps", at("a"), (current) => ({ ...current, data: { x: "y" } }));
    store.update("configmaps", at("a"), paint("blue"));
    store.delete("configmaps", at("a"));
    expect(events.map(lineOf)).toEqual(["ADDED default/a 4", "MODIFIED default/a 5", "DELETED default/a 6"]);
    expect(events[2]?.object).toMatchObject({ metadata: { labels: { colour: "red" } }, data: { x: "y" } });
    const { lines } = recordWatch(store, "configmaps", { matches: isRed, resourceVersion: "5" });
    expect(lines).toEqual(["DELETED default/a 6"]);
  });

  test("shows a deleted object as it was stored last, with the version of its deletion", () => {
    const store = openTestStore();
    store.create("configmaps", configMap("a", { metadata: { finalizers: ["x/y"] } }));
    const events: WatchEvent[] = [];
    store.watch("configmaps", { resourceVersion: "3" }, (event) => events.push(event));
    store.delete("configmaps", at("a"));
    store.update("configmaps", at("a"), (current) => ({
      ...current,
      metadata: { ...current.metadata, finalizers: [] },
    }));
    expect(events.map(lineOf)).toEqual(["MODIFIED default/a 4", "DELETED default/a 5"]);
    expect(events[1]?.object.metadata.finalizers).toEqual(["x/y"]);
  });

  test("answers Expired for a version that history no longer reaches", () => {
    const store = openTestStore({ historyLimit: 3 });
    for (const name of ["a", "b", "c", "d"]) store.create("configmaps", configMap(name));
    expect(statusOf(() => store.watch("configmaps", { resourceVersion: "2" }, () => {}))).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: "too old resource version: 2 (3)",
      reason: "Expired",
      code: 410,
    });
    expect(recordWatch(store, "configmaps", { resourceVersion: "3" }).lines).toEqual([
      "ADDED default/b 4",
      "ADDED default/c 5",
      "ADDED default/d 6",
    ]);
  });

  test("answers Timeout for a version that has not been written yet, and BadRequest for no number", () => {
    const store = openTestStore();
    const failing = (resourceVersion: string) =>
      statusOf(() => store.watch("pods", { resourceVersion, sendInitialEvents: true }, () => {}));
    expect(failing("3")).toMatchObject({
      code: 504,
      reason: "Timeout",
      message: "Timeout: Too large resource version: 3, current: 2",
    });
    for (const bad of ["x", "-1", "1.5", "1e3", " 1", "99999999999999999999"])
      expect(failing(bad).code).toBe(400);
  });

  test("tells nothing after it was stopped, not even what was queued", () => {
    const store = openTestStore();
    const lines: string[] = [];
    let stop = () => {};
    stop = store.watch("configmaps", {}, (event) => {
      lines.push(lineOf(event));
      if (event.object.metadata.name === "a") {
        store.create("configmaps", configMap("b"));
        stop();
      }
    });
    store.create("configmaps", configMap("a"));
    expect(lines).toEqual(["ADDED default/a 3"]);
  });

  test("keeps the order for every watcher when a callback writes", () => {
    const store = openTestStore();
    const first = recordWatch(store, "configmaps", {});
    store.watch("configmaps", {}, ({ type, object }) => {
      const { name = "" } = object.metadata;
      if (type === "ADDED" && name.length < 4) store.create("configmaps", configMap(`${name}x`));
    });
    const last = recordWatch(store, "configmaps", {});
    store.create("configmaps", configMap("a"));
    const lines = ["ADDED default/a 3", "ADDED default/ax 4", "ADDED default/axx 5", "ADDED default/axxx 6"];
    expect([first.lines, last.lines]).toEqual([lines, lines]);
  });

  test("tells a watch that a callback starts exactly what came after", () => {
    const store = openTestStore();
    const inner: string[] = [];
    store.watch("configmaps", {}, ({ object }) => {
      if (object.metadata.name !== "a") return;
      store.create("configmaps", configMap("b"));
      store.watch("configmaps", {}, (event) => inner.push(lineOf(event)));
      store.create("configmaps", configMap("c"));
    });
    store.create("configmaps", configMap("a"));
    expect(inner).toEqual(["ADDED default/a 3", "ADDED default/b 4", "ADDED default/c 5"]);
  });

  test("lets a callback see the write it is told of in every read", () => {
    const store = openTestStore();
    const seen: unknown[] = [];
    store.watch("pods", {}, ({ object }) => {
      seen.push(store.get("pods", at("a")) === object, store.list("pods").items.length);
    });
    store.create("pods", pod("a"));
    expect(seen).toEqual([true, 1]);
  });
});

describe("a continued list", () => {
  test("answers Expired when its moment is forgotten, with a token that goes on at the newest", () => {
    const store = openTestStore({ historyLimit: 2 });
    for (const name of ["a", "b", "c"]) store.create("configmaps", configMap(name));
    const { continue: token = "" } = store.list("configmaps", { limit: 1 });
    for (const name of ["d", "e", "f"]) store.create("configmaps", configMap(name));
    const status = statusOf(() => store.list("configmaps", { continue: token }));
    expect([status.code, status.reason, status.message]).toEqual([
      410,
      "Expired",
      expect.stringMatching(/^The provided continue parameter is too old to display a consistent list/),
    ]);
    const { continue: again = "" } = status.metadata;
    const rest = store.list("configmaps", { continue: again });
    expect([rest.items.map(({ metadata }) => metadata.name), rest.resourceVersion]).toEqual([
      ["b", "c", "d", "e", "f"],
      "8",
    ]);
    const exact = { resourceVersion: "4", resourceVersionMatch: "Exact" } as const;
    expect(statusOf(() => store.list("configmaps", exact)).message).toBe(
      "The resourceVersion for the provided list is too old.",
    );
  });

  test("goes on as long as history reaches its moment", () => {
    const store = openTestStore({ historyLimit: 2 });
    for (const name of ["a", "b"]) store.create("configmaps", configMap(name));
    const { continue: token = "" } = store.list("configmaps", { limit: 1 });
    for (const name of ["c", "d"]) store.create("configmaps", configMap(name));
    const { items } = store.list("configmaps", { continue: token });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(["b"]);
  });
});
