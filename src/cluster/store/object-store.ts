/** The store itself: everything in memory, every write in the log first, every watcher told after. */
import { messageOf } from "../../kernel/problem.ts";
import type { Clock } from "../../kernel/clock.ts";
import { DEFINITIONS } from "../../k8s/custom/definition.ts";
import type { GroupResource, KubeObject, ObjectName } from "../../k8s/object.ts";
import { keyOf } from "../../k8s/object-name.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { frozenJson } from "../../lib/frozen-json.ts";
import {
  alreadyExists,
  forbidden,
  generatedNameTaken,
  internalError,
  notFound,
  stillBeingDeleted,
  unknownResource,
} from "./api-errors.ts";
import { uidFor } from "./chosen-uid.ts";
import { Collection } from "./collection.ts";
import { describeCustom } from "./custom-resources.ts";
import { decideDeletion, endsDeletion } from "./deletion.ts";
import { generateName, MAX_NAME_ATTEMPTS } from "./generate-name.ts";
import { History } from "./history.ts";
import { listPage } from "./list-page.ts";
import type { ObjectLog } from "./object-log.ts";
import {
  changesGeneration,
  differsInStampsOnly,
  prepareCreate,
  prepareUpdate,
  type Subject,
} from "./object-rules.ts";
import type { ResourceLookup } from "./resource-lookup.ts";
import { isTerminating } from "./resource-rules.ts";
import type {
  DeleteOptions,
  ListQuery,
  ListResult,
  Store,
  UpdateOptions,
  WatchEvent,
  WatchQuery,
  WriteOptions,
} from "./store.ts";
import { firstEvents } from "./watch-start.ts";
import { Watchers } from "./watchers.ts";

export interface ObjectStoreParts {
  readonly log: ObjectLog;
  readonly clock: Clock;
  readonly resources: ResourceLookup;
  /** How many changes a watch can look back. */
  readonly historyLimit: number;
}

interface Write {
  readonly resource: GroupResource;
  readonly at: ObjectName;
  readonly before: KubeObject | undefined;
  readonly after: KubeObject;
  readonly removed?: boolean;
}

export class ObjectStore implements Store {
  readonly #log: ObjectLog;
  readonly #clock: Clock;
  readonly #resources: ResourceLookup;
  readonly #collections = new Map<GroupResource, Collection>();
  readonly #history: History;
  readonly #watchers = new Watchers();
  #version: number;
  #closed = false;

  constructor({ log, clock, resources, historyLimit }: ObjectStoreParts) {
    this.#log = log;
    this.#clock = clock;
    this.#resources = resources;
    const { version, objects } = log.load();
    this.#version = version;
    this.#history = new History(historyLimit, version);
    for (const [row, object] of objects) {
      this.#collection(row.resource).put(keyOf(row), frozenJson(object));
    }
  }

  create(resource: GroupResource, object: KubeObject, options: WriteOptions = {}): KubeObject {
    const subject = this.#subject(resource);
    const { name = "", generateName: prefix = "" } = object.metadata;
    if (name !== "" || prefix === "") return this.#createNamed(subject, object, { name, options });
    for (let attempt = 1; ; attempt += 1) {
      const candidate = generateName(prefix);
      try {
        return this.#createNamed(subject, object, { name: candidate, options });
      } catch (error) {
        if (!(error instanceof StatusError) || error.reason !== "AlreadyExists") throw error;
        if (attempt === MAX_NAME_ATTEMPTS) throw generatedNameTaken(resource, candidate);
      }
    }
  }

  get(resource: GroupResource, at: ObjectName): KubeObject | undefined {
    this.#subject(resource);
    return this.#collection(resource).get(keyOf(at));
  }

  update(
    resource: GroupResource,
    at: ObjectName,
    change: (current: KubeObject) => KubeObject,
    options: UpdateOptions = {},
  ): KubeObject {
    const subject = this.#subject(resource);
    for (;;) {
      const current = this.#collection(resource).get(keyOf(at));
      if (current === undefined) throw notFound(resource, at.name);
      const next = change(current);
      // A change that itself wrote this object is asked again, as `GuaranteedUpdate` asks after losing a race.
      if (this.#collection(resource).get(keyOf(at)) !== current) continue;
      return next === current ? current : this.#updateTo(subject, { at, current, next, options });
    }
  }

  delete(
    resource: GroupResource,
    at: ObjectName,
    options: DeleteOptions = {},
  ): { readonly object: KubeObject; readonly gone: boolean } {
    const subject = this.#subject(resource);
    const current = this.#collection(resource).get(keyOf(at));
    if (current === undefined) throw notFound(resource, at.name);
    const decision = decideDeletion({ ...subject, current, options, now: this.#clock.now() });
    const after = frozenJson(decision.object, current);
    const removed = decision.action === "remove";
    if (decision.action === "keep" || (!removed && after === current))
      return { object: current, gone: false };
    if (options.dryRun === true) return { object: after, gone: removed };
    return { object: this.#commit({ resource, at, before: current, after, removed }), gone: removed };
  }

  list(resource: GroupResource, query: ListQuery = {}): ListResult {
    this.#subject(resource);
    const past = (version: number) => this.#history.rewind(this.#collection(resource), resource, version);
    return listPage(query, { newest: this.#version, oldest: this.#history.oldest, collectionAt: past });
  }

  watch(resource: GroupResource, query: WatchQuery, onEvent: (event: WatchEvent) => void): () => void {
    const { description } = this.#subject(resource);
    const first = firstEvents(query, {
      description,
      version: this.#version,
      oldest: this.#history.oldest,
      objects: this.#collection(resource),
      since: (version) => this.#history.since(resource, version),
    });
    return this.#watchers.add(resource, query, { first, onEvent });
  }

  resourceVersion(): string {
    return String(this.#version);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watchers.stopAll();
    this.#log.close();
  }

  #createNamed(
    subject: Subject,
    object: KubeObject,
    { name, options }: { readonly name: string; readonly options: WriteOptions },
  ): KubeObject {
    const { resource } = subject;
    const system = { name, uid: uidFor(resource, object), now: this.#clock.now() };
    const created = frozenJson(prepareCreate(subject, object, system));
    const at = { namespace: created.metadata.namespace ?? "", name };
    if (at.namespace !== "") this.#refuseClosedNamespace(resource, at);
    const taken = this.#collection(resource).get(keyOf(at));
    if (taken !== undefined) {
      const isLeaving = taken.metadata.deletionTimestamp !== undefined;
      throw isLeaving ? stillBeingDeleted(resource, name) : alreadyExists(resource, name);
    }
    if (options.dryRun === true) return created;
    return this.#commit({ resource, at, before: undefined, after: created });
  }

  #refuseClosedNamespace(resource: GroupResource, { namespace, name }: ObjectName): void {
    const owner = this.#collection("namespaces").get(keyOf({ namespace: "", name: namespace }));
    if (owner === undefined) throw notFound("namespaces", namespace);
    if (!isTerminating(owner)) return;
    throw forbidden(resource, name, {
      why: `unable to create new content in namespace ${namespace} because it is being terminated`,
      causes: [
        {
          reason: "NamespaceTerminating",
          message: `namespace ${namespace} is being terminated`,
          field: "metadata.namespace",
        },
      ],
    });
  }

  #updateTo(
    subject: Subject,
    update: {
      readonly at: ObjectName;
      readonly current: KubeObject;
      readonly next: KubeObject;
      readonly options: UpdateOptions;
    },
  ): KubeObject {
    const { at, current, next, options } = update;
    const { resource } = subject;
    const part = options.subresource;
    const prepared = frozenJson(prepareUpdate({ ...subject, at, current, next, part }), current);
    const isDryRun = options.dryRun === true;
    if (endsDeletion(subject, current, prepared)) {
      // Watchers see the object as it was stored last; the caller sees what it asked for.
      if (!isDryRun) this.#commit({ resource, at, before: current, after: current, removed: true });
      return prepared;
    }
    if (prepared === current || differsInStampsOnly({ before: current, after: prepared })) return current;
    const isDesired = part !== "status" && changesGeneration(subject, { before: current, after: prepared });
    const after = isDesired
      ? frozenJson(withGeneration(prepared, (current.metadata.generation ?? 0) + 1), prepared)
      : prepared;
    return isDryRun ? after : this.#commit({ resource, at, before: current, after });
  }

  /** Log first: what could not be made durable has not happened, neither in memory nor for a watcher. */
  #commit({ resource, at, before, after, removed = false }: Write): KubeObject {
    if (this.#closed) throw new StatusError("ServiceUnavailable", "the cluster is shutting down");
    const version = this.#version + 1;
    const metadata = { ...after.metadata, resourceVersion: String(version) };
    const stored = frozenJson({ ...after, metadata }, after);
    try {
      this.#log.write(version, { resource, ...at }, removed ? undefined : stored);
    } catch (error) {
      throw internalError(`the cluster state could not be written: ${messageOf(error)}`);
    }
    this.#version = version;
    const key = keyOf(at);
    if (removed) this.#collection(resource).remove(key);
    else this.#collection(resource).put(key, stored);
    const change = { version, resource, key, before, after: stored, removed };
    this.#history.push(change);
    this.#watchers.publish(change);
    return stored;
  }

  #subject(resource: GroupResource): Subject {
    // The definition of a custom resource is called as the resource is.
    const description =
      this.#resources(resource) ??
      describeCustom(this.#collection(DEFINITIONS).get(keyOf({ namespace: "", name: resource })));
    if (description === undefined) throw unknownResource();
    return { resource, description };
  }

  #collection(resource: GroupResource): Collection {
    const known = this.#collections.get(resource);
    if (known !== undefined) return known;
    const collection = new Collection();
    this.#collections.set(resource, collection);
    return collection;
  }
}

function withGeneration(object: KubeObject, generation: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, generation } };
}
