/** Small objects and readable outcomes for tests of the store and of what stands on it. */
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

interface Status extends Record<string, unknown> {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly metadata: { readonly continue?: string };
}

/** The `Status` that a call fails with; fails the test when it does not fail, or otherwise. */
export function statusOf(call: () => unknown): Status {
  try {
    call();
  } catch (error) {
    if (error instanceof StatusError) return error.toStatus() as unknown as Status;
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
