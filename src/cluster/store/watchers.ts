/** Who is told of which write, and in what order: every watcher sees the writes it selects exactly once, oldest first. */
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { prefixOf } from "./collection.ts";
import type { Change } from "./history.ts";
import type { Selection, WatchEvent } from "./store.ts";

export type OnEvent = (event: WatchEvent) => void;

interface Watcher {
  readonly selection: Selection;
  readonly onEvent: OnEvent;
  readonly queue: WatchEvent[];
  delivering: boolean;
  stopped: boolean;
}

export class Watchers {
  readonly #byResource = new Map<GroupResource, Set<Watcher>>();
  readonly #report: (bug: unknown) => void;

  /** `report` gets what a callback throws: a bug of its owner, not of the innocent writer. By default the process gets it. */
  constructor(report: (bug: unknown) => void = throwLater) {
    this.#report = report;
  }

  /** Delivers `first` and then every later change until the returned function is called. */
  add(
    resource: GroupResource,
    selection: Selection,
    start: { readonly first: Iterable<WatchEvent>; readonly onEvent: OnEvent },
  ): () => void {
    const queue = [...start.first];
    const watcher = { selection, onEvent: start.onEvent, queue, delivering: false, stopped: false };
    const watchers = this.#byResource.get(resource) ?? new Set();
    this.#byResource.set(resource, watchers.add(watcher));
    this.#deliver(watcher);
    return () => {
      watcher.stopped = true;
      watchers.delete(watcher);
    };
  }

  /**
   * Tells everybody of a committed change. All queues are filled before the first callback runs: a callback that writes
   * makes a later change, and nobody is told of that one first.
   */
  publish(change: Change): void {
    const told: Watcher[] = [];
    for (const watcher of this.#byResource.get(change.resource) ?? []) {
      const event = eventFor(change, watcher.selection);
      if (event === undefined) continue;
      watcher.queue.push(event);
      told.push(watcher);
    }
    for (const watcher of told) this.#deliver(watcher);
  }

  stopAll(): void {
    for (const watchers of this.#byResource.values()) {
      for (const watcher of watchers) watcher.stopped = true;
    }
    this.#byResource.clear();
  }

  /**
   * Empties a watcher's queue. A watcher whose callback is running is left alone: the frame that runs it goes on with what
   * has been queued since.
   */
  #deliver(watcher: Watcher): void {
    if (watcher.delivering) return;
    watcher.delivering = true;
    for (const event of watcher.queue) {
      if (watcher.stopped) break;
      try {
        watcher.onEvent(event);
      } catch (error) {
        this.#report(error);
      }
    }
    watcher.queue.length = 0;
    watcher.delivering = false;
  }
}

/** What one selection sees of a change (`cacheWatcher.convertToWatchEvent`). */
export function eventFor(change: Change, selection: Selection): WatchEvent | undefined {
  if (!change.key.startsWith(prefixOf(selection.namespace))) return undefined;
  const { before, after, removed } = change;
  const matches = selection.matches ?? everything;
  const did = before !== undefined && matches(before);
  const does = !removed && matches(after);
  if (does) return { type: did ? "MODIFIED" : "ADDED", object: after };
  if (!did) return undefined;
  return { type: "DELETED", object: removed ? after : withVersionOf(before, after) };
}

function everything(): boolean {
  return true;
}

/** An object that left the selection is shown as it was, with the version at which it left. */
function withVersionOf(before: KubeObject, after: KubeObject): KubeObject {
  const { resourceVersion } = after.metadata;
  const metadata = { ...before.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
  return Object.freeze({ ...before, metadata: Object.freeze(metadata) });
}

function throwLater(bug: unknown): void {
  queueMicrotask(() => {
    throw bug;
  });
}
