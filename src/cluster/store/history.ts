/** The latest writes: what a watch that starts in the past is told, and how a list of a past version is rebuilt. */
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import type { Collection, Key } from "./collection.ts";

/** One committed write. */
export interface Change {
  readonly version: number;
  readonly resource: GroupResource;
  readonly key: Key;
  /** Absent for a creation. */
  readonly before: KubeObject | undefined;
  /** For a removal: the last state with the version of the removal, as in the real server's DELETED event. */
  readonly after: KubeObject;
  readonly removed: boolean;
}

export class History {
  readonly #limit: number;
  #changes: Change[] = [];
  /** Index of the oldest change kept; trimming in bulk keeps `push` cheap. */
  #start = 0;
  #oldest: number;

  /** `limit` counts changes; `version` is the newest version before the first change. */
  constructor(limit: number, version: number) {
    this.#limit = limit;
    this.#oldest = version;
  }

  /** The oldest version from which everything that followed is known. */
  get oldest(): number {
    return this.#oldest;
  }

  push(change: Change): void {
    this.#changes.push(change);
    if (this.#changes.length - this.#start <= this.#limit) return;
    this.#oldest = this.#changes[this.#start]?.version ?? change.version;
    this.#start += 1;
    if (this.#start > this.#limit) {
      this.#changes = this.#changes.slice(this.#start);
      this.#start = 0;
    }
  }

  /** Changes of one resource after `version`, oldest first. The caller has compared `version` with `oldest`. */
  *since(resource: GroupResource, version: number): Generator<Change> {
    for (let index = this.#after(version); index < this.#changes.length; index += 1) {
      const change = this.#changes[index];
      if (change?.resource === resource) yield change;
    }
  }

  /** The collection as it was at `version`; the caller has compared `version` with `oldest`. */
  rewind(collection: Collection, resource: GroupResource, version: number): Collection {
    const changes = [...this.since(resource, version)];
    if (changes.length === 0) return collection;
    const past = collection.copy();
    for (const { key, before } of changes.toReversed()) {
      if (before === undefined) past.remove(key);
      else past.put(key, before);
    }
    return past;
  }

  /** Index of the first change newer than `version`. */
  #after(version: number): number {
    let low = this.#start;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.version ?? 0) <= version) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
