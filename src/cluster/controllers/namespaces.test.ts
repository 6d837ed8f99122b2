import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { resources } from "../../k8s/catalogue.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { at, configMap, CREATED_AT, namespace, openTestStore, pod } from "../../testing/store-fixtures.ts";
import type { Store } from "../store/store.ts";
import { startNamespaceController } from "./namespaces.ts";

const STORED = resources.filter(({ stored }) => stored);

let store: Store;
let clock: ManualClock;
let stop: () => void;
beforeEach(() => {
  clock = new ManualClock();
  store = openTestStore({ clock });
  stop = start("PEM");
});
afterEach(() => {
  stop();
  store.close();
});

function start(caCertificate: string): () => void {
  return startNamespaceController({ store, clock, resources: STORED, caCertificate });
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

function stripFinalizers(current: KubeObject): KubeObject {
  return { ...current, metadata: { ...current.metadata, finalizers: [] } };
}

/** `True SomeResourcesRemain: message`, by type. */
function conditions(name: string): Record<string, string> {
  const status = store.get("namespaces", at(name, ""))?.["status"] as
    | { conditions?: readonly Condition[] }
    | undefined;
  const list = status?.conditions ?? [];
  return Object.fromEntries(
    list.map(({ type, status, reason, message }) => [type, `${status} ${reason}: ${message}`]),
  );
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

describe("the namespace controller", () => {
  test("furnishes the namespaces that are there and every new one", async () => {
    store.create("namespaces", namespace("new"));
    await settled();
    for (const name of ["default", "other", "new"]) {
      expect(store.get("configmaps", at("kube-root-ca.crt", name))?.["data"]).toEqual({ "ca.crt": "PEM" });
      expect(store.get("serviceaccounts", at("default", name))?.kind).toBe("ServiceAccount");
    }
  });

  test("restores what is deleted or changed, and takes a new certificate over", async () => {
    await settled();
    store.delete("serviceaccounts", at("default"));
    store.delete("configmaps", at("kube-root-ca.crt"));
    store.update("configmaps", at("kube-root-ca.crt", "other"), (current) => ({ ...current, data: {} }));
    await settled();
    expect(store.get("serviceaccounts", at("default"))).toBeDefined();
    for (const name of ["default", "other"]) {
      expect(store.get("configmaps", at("kube-root-ca.crt", name))?.["data"]).toEqual({ "ca.crt": "PEM" });
    }
    stop();
    stop = start("NEW");
    await settled();
    expect(store.get("configmaps", at("kube-root-ca.crt"))?.["data"]).toEqual({ "ca.crt": "NEW" });
  });

  test("empties a deleted namespace and removes it", async () => {
    await settled();
    store.create("configmaps", configMap("a", { metadata: { namespace: "other" } }));
    store.create("deployments.apps", {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: at("d", "other"),
    });
    store.create("configmaps", configMap("kept"));
    store.delete("namespaces", at("other", ""));
    await settled();
    expect(store.get("namespaces", at("other", ""))).toBeUndefined();
    for (const { groupResource, namespaced } of STORED) {
      if (namespaced) expect(store.list(groupResource, { namespace: "other" }).items).toEqual([]);
    }
    expect(store.get("configmaps", at("kept"))).toBeDefined();
    expect(clock.pending).toBe(0);
  });

  test("waits for pods before it takes anything from them, and says what it waits for", async () => {
    await settled();
    const spec = { nodeName: "node", terminationGracePeriodSeconds: 30 };
    store.create("pods", pod("p", { metadata: { namespace: "other" }, spec }));
    store.create("configmaps", configMap("a", { metadata: { namespace: "other" } }));
    store.delete("namespaces", at("other", ""));
    await settled();
    expect(store.get("pods", at("p", "other"))?.metadata.deletionGracePeriodSeconds).toBe(30);
    expect(store.get("configmaps", at("a", "other"))).toBeDefined();
    expect(conditions("other")).toEqual({
      NamespaceDeletionDiscoveryFailure: "False ResourcesDiscovered: All resources successfully discovered",
      NamespaceDeletionGroupVersionParsingFailure:
        "False ParsedGroupVersions: All legacy kube types successfully parsed",
      NamespaceDeletionContentFailure:
        "False ContentDeleted: All content successfully deleted, may be waiting on finalization",
      NamespaceContentRemaining:
        "True SomeResourcesRemain: Some resources are remaining: pods. has 1 resource instances",
      NamespaceFinalizersRemaining:
        "False ContentHasNoFinalizers: All content-preserving finalizers finished",
    });
    store.delete("pods", at("p", "other"), { gracePeriodSeconds: 0 });
    await settled();
    expect(store.get("namespaces", at("other", ""))).toBeUndefined();
  });

  test("names the finalizers that keep a namespace, and goes on when they are gone", async () => {
    store.create("configmaps", configMap("a", { metadata: { namespace: "other", finalizers: ["x/y"] } }));
    store.delete("namespaces", at("other", ""));
    await settled();
    expect(conditions("other")).toMatchObject({
      NamespaceContentRemaining:
        "True SomeResourcesRemain: Some resources are remaining: configmaps. has 1 resource instances",
      NamespaceFinalizersRemaining:
        "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: x/y in 1 resource instances",
    });
    const { resourceVersion } = store.get("namespaces", at("other", ""))?.metadata ?? {};
    await settled();
    expect(store.get("namespaces", at("other", ""))?.metadata.resourceVersion).toBe(resourceVersion ?? "");
    store.update("configmaps", at("a", "other"), stripFinalizers);
    await settled();
    expect(store.get("namespaces", at("other", ""))).toBeUndefined();
  });

  test("keeps an empty namespace as long as it has finalizers of its own", async () => {
    const where = at("own", "");
    store.create("namespaces", { ...namespace("own"), metadata: { name: "own", finalizers: ["x/y"] } });
    store.delete("namespaces", where);
    await settled();
    expect(store.get("namespaces", where)).toMatchObject({
      metadata: { finalizers: ["x/y"], deletionTimestamp: CREATED_AT },
      spec: { finalizers: [] },
      status: { phase: "Terminating" },
    });
    store.update("namespaces", where, stripFinalizers);
    expect(store.get("namespaces", where)).toBeUndefined();
  });

  test("finishes a deletion that began before it started", async () => {
    stop();
    store.create("configmaps", configMap("a", { metadata: { namespace: "other" } }));
    store.delete("namespaces", at("other", ""));
    await settled();
    expect(store.get("namespaces", at("other", ""))).toBeDefined();
    stop = start("PEM");
    await settled();
    expect(store.get("namespaces", at("other", ""))).toBeUndefined();
  });

  test("a namespace of the same name starts anew", async () => {
    store.delete("namespaces", at("other", ""));
    await settled();
    store.create("namespaces", namespace("other"));
    await settled();
    expect(store.get("serviceaccounts", at("default", "other"))).toBeDefined();
  });
});
