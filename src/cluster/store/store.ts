/**
 * The contract of the store: objects by resource, one resourceVersion counter, list and watch.
 *
 * Every call is synchronous and atomic; what a call has returned survives kill -9. Failures are `StatusError`
 * with the reasons of the real API server. Returned objects are shared and deeply frozen.
 */
import type { GroupResource, KubeObject, ObjectName } from "../../k8s/object.ts";

export interface Selection {
  /** Restricts to one namespace; absent or empty = all. */
  readonly namespace?: string;
  /** True for objects that belong to the answer (label and field selectors, already compiled). */
  readonly matches?: (object: KubeObject) => boolean;
}

export interface ListQuery extends Selection {
  readonly limit?: number;
  /** Opaque token of an earlier page. An expired one throws `Expired`. */
  readonly continue?: string;
  /** Absent or "0": the newest. One that has not been written yet throws `Timeout`, a forgotten exact one `Expired`. */
  readonly resourceVersion?: string;
  /** Absent: exact with a `limit`, not older than without, as on the real server. */
  readonly resourceVersionMatch?: "Exact" | "NotOlderThan";
}

export interface ListResult {
  readonly items: readonly KubeObject[];
  /** Version of the snapshot; a watch from here misses nothing. */
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

export interface WatchQuery extends Selection {
  /**
   * Events after this version. Absent or "0": start with ADDED for all that is there. Too old throws `Expired`, one that has
   * not been written yet `Timeout`.
   */
  readonly resourceVersion?: string;
  /**
   * True: ADDED for all that is there, then a bookmark with `k8s.io/initial-events-end` (KEP-3157). False: no ADDED for an
   * absent version, only what happens from now on.
   */
  readonly sendInitialEvents?: boolean;
}

/** A selector that an object enters or leaves turns MODIFIED into ADDED or DELETED, as on the real server. */
export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: KubeObject;
}

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface DeleteOptions {
  /** Seconds. Absent = the resource's default (pods: terminationGracePeriodSeconds; others: 0). */
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly preconditions?: Preconditions;
  readonly dryRun?: boolean;
}

export interface WriteOptions {
  /** Does everything but persist. */
  readonly dryRun?: boolean;
}

export interface UpdateOptions extends WriteOptions {
  /** `finalize` is for namespaces only: it alone changes their `spec.finalizers`. */
  readonly subresource?: "status" | "finalize";
}

export interface Store {
  /**
   * Fills uid, creationTimestamp, generation, name from generateName. `AlreadyExists`, `NotFound` (namespace), `Forbidden`
   * (namespace is going). A status is stored as given, except for namespaces: who must not set one is the API's decision.
   */
  create(resource: GroupResource, object: KubeObject, options?: WriteOptions): KubeObject;
  get(resource: GroupResource, at: ObjectName): KubeObject | undefined;
  /**
   * Read, change, write (`GuaranteedUpdate`). `change` gets the frozen current object and returns the new one; returning
   * an equal object writes nothing and keeps the resourceVersion. A resourceVersion in the new object that is not the
   * current one is a `Conflict`. `subresource: "status"` keeps everything but status (and metadata of the current),
   * without it status is kept for resources that have the subresource.
   */
  update(
    resource: GroupResource,
    at: ObjectName,
    change: (current: KubeObject) => KubeObject,
    options?: UpdateOptions,
  ): KubeObject;
  /** Graceful for pods, waits for finalizers; `gone` tells whether the object is out of the store now. */
  delete(
    resource: GroupResource,
    at: ObjectName,
    options?: DeleteOptions,
  ): { readonly object: KubeObject; readonly gone: boolean };
  list(resource: GroupResource, query?: ListQuery): ListResult;
  /**
   * Calls `onEvent` in order, never inside another store call's stack frame before that call has committed, until the
   * returned function is called. The events that are there already come before `watch` returns. `onEvent` may write: every
   * watcher still sees all writes in their order. Throws `Expired` when the version is no longer in the history.
   */
  watch(resource: GroupResource, query: WatchQuery, onEvent: (event: WatchEvent) => void): () => void;
  /** Version of the newest write. */
  resourceVersion(): string;
  close(): void;
}
