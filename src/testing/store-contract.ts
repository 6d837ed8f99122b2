/** What every store must do, whatever it keeps its objects in. The objects are small: shapes are the API's business. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { KubeObject } from "../k8s/object.ts";
import type { Store } from "../cluster/store/store.ts";
import { at, configMap, CREATED_AT, pod, statusOf } from "./store-fixtures.ts";
import { deletes, lists } from "./store-list-contract.ts";

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
