/** The part of the store's contract about lists and deletions. */
import { expect, test } from "bun:test";
import type { KubeObject } from "../k8s/object.ts";
import type { Store } from "../cluster/store/store.ts";
import { at, configMap, CREATED_AT, statusOf } from "./store-fixtures.ts";

export function lists(store: () => Store): void {
  const names = (items: readonly KubeObject[]) =>
    items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);

  test("list() sorts by namespace and name and selects", () => {
    for (const name of ["b", "a", "a-b", "a.c"]) store().create("configmaps", configMap(name));
    store().create("configmaps", configMap("z", { metadata: { namespace: "other" } }));
    expect(names(store().list("configmaps").items)).toEqual([
      "default/a",
      "default/a-b",
      "default/a.c",
      "default/b",
      "other/z",
    ]);
    expect(names(store().list("configmaps", { namespace: "other" }).items)).toEqual(["other/z"]);
    const matches = ({ metadata }: KubeObject) => metadata.name?.startsWith("a-") === true;
    expect(names(store().list("configmaps", { matches }).items)).toEqual(["default/a-b"]);
    expect(store().list("secrets")).toEqual({ items: [], resourceVersion: "7" });
  });

  test("list() pages show one moment, whatever is written between them", () => {
    for (const name of ["a", "b", "c", "d", "e"]) store().create("configmaps", configMap(name));
    const first = store().list("configmaps", { limit: 2 });
    expect([names(first.items), first.remainingItemCount, first.resourceVersion]).toEqual([
      ["default/a", "default/b"],
      3,
      "7",
    ]);
    store().delete("configmaps", at("c"));
    store().create("configmaps", configMap("bb"));
    store().update("configmaps", at("d"), (current) => ({ ...current, data: { x: "y" } }));
    const second = store().list("configmaps", { limit: 2, continue: first.continue ?? "" });
    expect([names(second.items), second.remainingItemCount, second.resourceVersion]).toEqual([
      ["default/c", "default/d"],
      1,
      "7",
    ]);
    expect(second.items[1]?.["data"]).toBeUndefined();
    const third = store().list("configmaps", { limit: 2, continue: second.continue ?? "" });
    expect([names(third.items), third.continue, third.remainingItemCount]).toEqual([
      ["default/e"],
      undefined,
      undefined,
    ]);
  });

  test("list() pages of a selection do not count what remains and end with the last match", () => {
    for (const name of ["a1", "b1", "a2", "b2"]) store().create("configmaps", configMap(name));
    const matches = ({ metadata }: KubeObject) => metadata.name?.startsWith("a") === true;
    const first = store().list("configmaps", { limit: 1, matches });
    expect([names(first.items), first.remainingItemCount]).toEqual([["default/a1"], undefined]);
    const second = store().list("configmaps", { limit: 1, matches, continue: first.continue ?? "" });
    expect([names(second.items), second.continue]).toEqual([["default/a2"], undefined]);
  });

  test("list() answers at an exact version", () => {
    store().create("configmaps", configMap("a"));
    store().create("configmaps", configMap("b"));
    const exact = { resourceVersion: "3", resourceVersionMatch: "Exact" } as const;
    expect(store().list("configmaps", exact)).toMatchObject({
      resourceVersion: "3",
      items: [{ metadata: at("a") }],
    });
    expect(store().list("configmaps", { resourceVersion: "3" }).resourceVersion).toBe("4");
    expect(store().list("configmaps", { resourceVersion: "3", limit: 9 }).resourceVersion).toBe("3");
    expect(statusOf(() => store().list("configmaps", { resourceVersion: "99" }))).toMatchObject({
      code: 504,
      message: "Timeout: Too large resource version: 99, current: 4",
      details: {
        causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
        retryAfterSeconds: 1,
      },
    });
  });

  test("list() refuses tokens and versions that are not ours", () => {
    const forged = (token: object) => Buffer.from(JSON.stringify(token)).toString("base64url");
    const tokens = ["!", "bm9wZQ", forged({}), forged({ v: "meta.k8s.io/v1", rv: 0, start: "a" })];
    for (const token of [...tokens, forged({ v: "meta.k8s.io/v1", rv: 1 }), forged([])]) {
      expect(statusOf(() => store().list("pods", { continue: token }))).toMatchObject({
        code: 400,
        message: expect.stringMatching(/^invalid continue token: continue key is not valid/),
      });
    }
    expect(statusOf(() => store().list("pods", { resourceVersion: "x" })).code).toBe(400);
  });
}

export function deletes(store: () => Store): void {
  test("delete() removes at once what nothing holds, with a version of its own", () => {
    const { metadata } = store().create("configmaps", configMap("a"));
    const { object, gone } = store().delete("configmaps", at("a"));
    expect([gone, object.metadata]).toEqual([true, { ...metadata, resourceVersion: "4" }]);
    expect(store().get("configmaps", at("a"))).toBeUndefined();
  });

  test("delete() waits for finalizers; the update that takes off the last one removes the object", () => {
    store().create("configmaps", configMap("a", { metadata: { finalizers: ["x/y", "x/z"] } }));
    const marked = store().delete("configmaps", at("a"));
    expect([marked.gone, marked.object.metadata]).toMatchObject([
      false,
      { deletionTimestamp: CREATED_AT, deletionGracePeriodSeconds: 0, resourceVersion: "4" },
    ]);
    expect(store().delete("configmaps", at("a"))).toEqual(marked);
    const keep = (finalizers: string[]) => (current: KubeObject) => ({
      ...current,
      metadata: { ...current.metadata, finalizers },
    });
    store().update("configmaps", at("a"), keep(["x/z"]));
    expect(store().get("configmaps", at("a"))).toBeDefined();
    store().update("configmaps", at("a"), keep([]), { dryRun: true });
    expect(store().get("configmaps", at("a"))).toBeDefined();
    store().update("configmaps", at("a"), keep([]));
    expect(store().get("configmaps", at("a"))).toBeUndefined();
  });

  test("delete() answers Conflict for another uid or version, naming the kind as the real server does", () => {
    const { metadata } = store().create("configmaps", configMap("a"));
    const attempt = (preconditions: object) =>
      statusOf(() => store().delete("configmaps", at("a"), { preconditions }));
    expect(attempt({ uid: "other" }).message).toBe(
      `Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (other) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    );
    expect(attempt({ resourceVersion: "1" }).message).toBe(
      'Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (3). The object might have been modified',
    );
    const { uid = "", resourceVersion = "" } = metadata;
    expect(store().delete("configmaps", at("a"), { preconditions: { uid, resourceVersion } }).gone).toBe(
      true,
    );
  });

  test("delete() with dryRun says what would happen and does not", () => {
    store().create("configmaps", configMap("a"));
    expect(store().delete("configmaps", at("a"), { dryRun: true }).gone).toBe(true);
    expect([store().get("configmaps", at("a")) === undefined, store().resourceVersion()]).toEqual([
      false,
      "3",
    ]);
  });
}
