/** What every store must do, whatever it keeps its objects in. The objects are small: shapes are the API's business. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { resourceOf } from "../k8s/catalogue.ts";
import type { KubeObject } from "../k8s/object.ts";
import { StatusError } from "../k8s/status-error.ts";
import { openStore, type StoreOptions } from "../cluster/store/open-store.ts";
import type { Store, WatchEvent, WatchQuery } from "../cluster/store/store.ts";
import { ManualClock } from "./manual-clock.ts";

export const CREATED_AT = "2026-01-01T00:00:00Z";

/** A store in memory whose counter starts at 0, with the namespaces `default` (version 1) and `other` (version 2). */
export function openTestStore(options: Partial<StoreOptions> = {}): Store {
  const defaults = { path: ":memory:", clock: new ManualClock(), resources: resourceOf, firstVersion: 0 };
  const store = openStore({ ...defaults, ...options });
  for (const name of ["default", "other"]) {
    if (store.get("namespaces", { namespace: "", name }) === undefined)
      store.create("namespaces", namespace(name));
  }
  return store;
}

export function namespace(name: string): KubeObject {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name } };
}

export function configMap(name: string, fields: Partial<KubeObject> = {}): KubeObject {
  const { metadata, ...rest } = fields;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "default", name, ...metadata },
    ...rest,
  };
}

export function pod(name: string, fields: Partial<KubeObject> = {}): KubeObject {
  const { metadata, ...rest } = fields;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "default", name, ...metadata },
    spec: {},
    ...rest,
  };
}

export function at(
  name: string,
  namespace = "default",
): { readonly namespace: string; readonly name: string } {
  return { namespace, name };
}

/** The `Status` that a call fails with; fails the test when it does not fail, or otherwise. */
export function statusOf(call: () => unknown): Record<string, unknown> {
  try {
    call();
  } catch (error) {
    if (error instanceof StatusError) return error.toStatus();
    throw error;
  }
  throw new Error("the call did not fail");
}

/** `ADDED default/a 3`, one line per event, growing while the watch lasts. */
export function recordWatch(
  store: Store,
  resource: string,
  query: WatchQuery,
): { lines: string[]; stop: () => void } {
  const lines: string[] = [];
  const stop = store.watch(resource, query, (event) => lines.push(lineOf(event)));
  return { lines, stop };
}

export function lineOf({ type, object }: WatchEvent): string {
  const { namespace, name, resourceVersion } = object.metadata;
  if (type === "BOOKMARK") return `${type} ${resourceVersion}`;
  return `${type} ${namespace === undefined ? "" : `${namespace}/`}${name} ${resourceVersion}`;
}

/** Runs the suite over the stores that `open` gives; `close` is called after each test. */
export function storeContract(name: string, open: () => { readonly store: Store; close(): void }): void {
  describe(name, () => {
    let opened: ReturnType<typeof open>;
    let store: Store;
    beforeEach(() => {
      opened = open();
      store = opened.store;
    });
    afterEach(() => opened.close());

    creates(() => store);
    updates(() => store);
    lists(() => store);
    deletes(() => store);
  });
}

function creates(store: () => Store): void {
  test("create() fills the system's fields and gives what get() gives, frozen", () => {
    const created = store().create(
      "pods",
      pod("a", { metadata: { uid: "mine", generation: 7, labels: { x: "y" } } }),
    );
    expect(created).toEqual({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: "a",
        namespace: "default",
        labels: { x: "y" },
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        creationTimestamp: CREATED_AT,
        generation: 1,
        resourceVersion: "3",
      },
      spec: {},
    });
    expect(store().get("pods", at("a"))).toBe(created);
    expect(Object.isFrozen(created.metadata.labels)).toBe(true);
    expect(store().resourceVersion()).toBe("3");
  });

  test("create() sets a generation only where the real server does", () => {
    const generationOf = (resource: string, kind: string, apiVersion: string) =>
      store().create(resource, { apiVersion, kind, metadata: at("g") }).metadata.generation;
    expect([
      generationOf("deployments.apps", "Deployment", "apps/v1"),
      generationOf("services", "Service", "v1"),
      generationOf("configmaps", "ConfigMap", "v1"),
      generationOf("networkpolicies.networking.k8s.io", "NetworkPolicy", "networking.k8s.io/v1"),
    ]).toEqual([1, undefined, undefined, 1]);
  });

  test("create() makes a name from generateName and keeps the prefix within 63 characters", () => {
    const { name: short } = store().create("pods", pod("", { metadata: { generateName: "web-" } })).metadata;
    expect(short).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    const { name: long } = store().create(
      "pods",
      pod("", { metadata: { generateName: "x".repeat(80) } }),
    ).metadata;
    expect(long).toMatch(/^x{58}[a-z0-9]{5}$/);
  });

  test("create() answers AlreadyExists when the name is taken, in the words of the real server", () => {
    store().create("pods", pod("a"));
    expect(statusOf(() => store().create("pods", pod("a")))).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: 'pods "a" already exists',
      reason: "AlreadyExists",
      details: { name: "a", kind: "pods" },
      code: 409,
    });
    const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata: at("d") };
    store().create("deployments.apps", deployment);
    expect(statusOf(() => store().create("deployments.apps", deployment))).toMatchObject({
      message: 'deployments.apps "d" already exists',
      details: { name: "d", group: "apps", kind: "deployments" },
    });
  });

  test("create() says that a name is still being deleted", () => {
    store().create("pods", pod("a", { metadata: { finalizers: ["x/y"] } }));
    store().delete("pods", at("a"));
    expect(statusOf(() => store().create("pods", pod("a"))).message).toBe(
      'object is being deleted: pods "a" already exists',
    );
  });

  test("create() refuses what has no name, no namespace, a bad name, a version or an unknown resource", () => {
    const refusals: readonly (readonly [KubeObject, string])[] = [
      [pod(""), 'Pod "" is invalid: metadata.name: Required value: name or generateName is required'],
      [pod("a/b"), `Pod "a/b" is invalid: metadata.name: Invalid value: "a/b": may not contain '/'`],
      [pod("a", { metadata: { namespace: "" } }), 'Pod "a" is invalid: metadata.namespace: Required value'],
      [
        pod("a", { metadata: { resourceVersion: "1" } }),
        "Internal error occurred: resourceVersion should not be set on objects to be created",
      ],
    ];
    for (const [object, message] of refusals) {
      expect(statusOf(() => store().create("pods", object)).message).toBe(message);
    }
    expect(statusOf(() => store().create("tulips", pod("a")))).toMatchObject({
      reason: "NotFound",
      message: "the server could not find the requested resource",
    });
    expect(store().resourceVersion()).toBe("2");
  });

  test("create() refuses a namespace that is missing or going", () => {
    const into = (namespace: string) =>
      statusOf(() => store().create("pods", pod("a", { metadata: { namespace } })));
    expect(into("nowhere")).toMatchObject({
      reason: "NotFound",
      message: 'namespaces "nowhere" not found',
      details: { name: "nowhere", kind: "namespaces" },
    });
    store().delete("namespaces", at("other", ""));
    expect(into("other")).toMatchObject({
      code: 403,
      message:
        'pods "a" is forbidden: unable to create new content in namespace other because it is being terminated',
      details: {
        name: "a",
        kind: "pods",
        causes: [
          {
            reason: "NamespaceTerminating",
            message: "namespace other is being terminated",
            field: "metadata.namespace",
          },
        ],
      },
    });
  });

  test("create() with dryRun tells everything but a version and keeps nothing", () => {
    const created = store().create("pods", pod("a"), { dryRun: true });
    expect(created.metadata).toMatchObject({ name: "a", creationTimestamp: CREATED_AT });
    expect(created.metadata.resourceVersion).toBeUndefined();
    expect([store().get("pods", at("a")), store().resourceVersion()]).toEqual([undefined, "2"]);
    store().create("pods", pod("a"));
    expect(statusOf(() => store().create("pods", pod("a"), { dryRun: true })).reason).toBe("AlreadyExists");
  });

  test("a new namespace is Active, named by its label and held by its finalizer", () => {
    expect(store().get("namespaces", at("other", ""))).toMatchObject({
      metadata: { labels: { "kubernetes.io/metadata.name": "other" } },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    });
  });
}

function updates(store: () => Store): void {
  test("update() counts a generation for a new spec, not for metadata or the same again", () => {
    const first = store().create("pods", pod("a", { spec: { x: 1 } }));
    const labelled = store().update("pods", at("a"), (current) => ({
      ...current,
      metadata: { ...current.metadata, labels: { a: "b" } },
    }));
    expect([labelled.metadata.generation, labelled.metadata.resourceVersion]).toEqual([1, "4"]);
    const changed = store().update("pods", at("a"), (current) => ({ ...current, spec: { x: 2 } }));
    expect([changed.metadata.generation, changed.metadata.resourceVersion]).toEqual([2, "5"]);
    const same = store().update("pods", at("a"), (current) => structuredClone(current));
    expect(same).toBe(changed);
    expect([store().resourceVersion(), first.metadata.resourceVersion]).toEqual(["5", "3"]);
  });

  test("update() takes the stamp of a field manager alone for no change", () => {
    const managedFields = (time: string) => [
      { manager: "kubectl", operation: "Apply", time, fieldsV1: { "f:x": {} } },
    ];
    const created = store().create(
      "pods",
      pod("a", { metadata: { managedFields: managedFields(CREATED_AT) } }),
    );
    const stamped = store().update("pods", at("a"), (current) => ({
      ...current,
      metadata: { ...current.metadata, managedFields: managedFields("2027-01-01T00:00:00Z") },
    }));
    expect(stamped).toBe(created);
  });

  test("update() keeps the status, the status subresource keeps everything else", () => {
    store().create("pods", pod("a", { spec: { x: 1 }, status: { phase: "Pending" } }));
    const all = (current: KubeObject) => ({
      ...current,
      metadata: { ...current.metadata, labels: { a: "b" } },
      spec: { x: 2 },
      status: { phase: "Running" },
    });
    expect(store().update("pods", at("a"), all, { subresource: "status" })).toMatchObject({
      metadata: { generation: 1 },
      spec: { x: 1 },
      status: { phase: "Running" },
    });
    expect(store().get("pods", at("a"))?.metadata.labels).toBeUndefined();
    expect(store().update("pods", at("a"), (current) => ({ ...all(current), status: {} }))).toMatchObject({
      metadata: { generation: 2, labels: { a: "b" } },
      spec: { x: 2 },
      status: { phase: "Running" },
    });
  });

  test("update() answers Conflict for an old version and for another uid", () => {
    const { metadata } = store().create("pods", pod("a"));
    store().update("pods", at("a"), (current) => ({ ...current, spec: { x: 1 } }));
    expect(statusOf(() => store().update("pods", at("a"), () => pod("a", { metadata })))).toMatchObject({
      code: 409,
      reason: "Conflict",
      message:
        'Operation cannot be fulfilled on pods "a": the object has been modified; please apply your changes to the latest version and try again',
      details: { name: "a", kind: "pods" },
    });
    const other = pod("a", { metadata: { uid: "other" } });
    expect(statusOf(() => store().update("pods", at("a"), () => other)).message).toBe(
      `Operation cannot be fulfilled on pods "a": StorageError: invalid object, Code: 4, Key: /registry/pods/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: other, UID in object meta: ${metadata.uid}`,
    );
  });

  test("update() without version and uid writes over what is there", () => {
    const created = store().create("pods", pod("a"));
    const updated = store().update("pods", at("a"), () =>
      pod("a", { metadata: { namespace: "" }, spec: { x: 1 } }),
    );
    expect(updated).toEqual({
      ...created,
      metadata: { ...created.metadata, generation: 2, resourceVersion: "4" },
      spec: { x: 1 },
    });
  });

  test("update() keeps what nobody may change and refuses a new name, namespace or deletion time", () => {
    const created = store().create("pods", pod("a"));
    const change = (metadata: KubeObject["metadata"]) => () =>
      store().update("pods", at("a"), () => pod("a", { metadata }));
    expect(change({ creationTimestamp: "2000-01-01T00:00:00Z", generation: 9 })()).toBe(created);
    expect(statusOf(change({ name: "b" })).message).toBe(
      'Pod "a" is invalid: metadata.name: Invalid value: "b": field is immutable',
    );
    expect(statusOf(change({ namespace: "other" })).message).toBe(
      "the namespace of the provided object does not match the namespace sent on the request",
    );
    expect(statusOf(change({ deletionTimestamp: CREATED_AT })).message).toBe(
      `Pod "a" is invalid: metadata.deletionTimestamp: Invalid value: "${CREATED_AT}": field is immutable`,
    );
  });

  test("update() refuses new finalizers while the object is being deleted", () => {
    store().create("pods", pod("a", { metadata: { finalizers: ["x/y"] } }));
    store().delete("pods", at("a"));
    const more = pod("a", { metadata: { finalizers: ["x/y", "x/z", "x/a"] } });
    expect(statusOf(() => store().update("pods", at("a"), () => more))).toMatchObject({
      code: 422,
      message:
        'Pod "a" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"x/a", "x/z"}',
      details: { causes: [{ reason: "FieldValueForbidden", field: "metadata.finalizers" }] },
    });
  });

  test("update() asks again when the change itself wrote the object", () => {
    store().create("configmaps", configMap("a", { data: { n: "0" } }));
    let isFirst = true;
    const updated = store().update("configmaps", at("a"), (current) => {
      if (isFirst) {
        isFirst = false;
        store().update("configmaps", at("a"), (inner) => ({ ...inner, data: { n: "1" } }));
      }
      return { ...current, extra: true };
    });
    expect(updated).toMatchObject({ data: { n: "1" }, extra: true });
  });

  test("update() with dryRun shows the result and keeps nothing", () => {
    const created = store().create("pods", pod("a"));
    const shown = store().update("pods", at("a"), (now) => ({ ...now, spec: { x: 1 } }), { dryRun: true });
    expect(shown).toMatchObject({ spec: { x: 1 }, metadata: { generation: 2, resourceVersion: "3" } });
    expect(store().get("pods", at("a"))).toBe(created);
  });

  test("update() and delete() answer NotFound for what is not there", () => {
    const status = {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: 'pods "a" not found',
      reason: "NotFound",
      details: { name: "a", kind: "pods" },
      code: 404,
    };
    expect(statusOf(() => store().update("pods", at("a"), (now) => now))).toEqual(status);
    expect(statusOf(() => store().delete("pods", at("a")))).toEqual(status);
  });

  test("only finalize changes spec.finalizers of a namespace", () => {
    const strip = (current: KubeObject) => ({ ...current, spec: { finalizers: [] } });
    const where = at("other", "");
    expect(store().update("namespaces", where, strip)["spec"]).toEqual({ finalizers: ["kubernetes"] });
    expect(store().update("namespaces", where, strip, { subresource: "finalize" })["spec"]).toEqual({
      finalizers: [],
    });
  });
}

function lists(store: () => Store): void {
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

function deletes(store: () => Store): void {
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
