/** The objects of one resource, in the order a real server lists them: by namespace, then name, as etcd sorts its keys. */
import type { KubeObject } from "../../k8s/object.ts";

/** What `keyOf` makes of an object's name: text that sorts by namespace, then name. */
export type Key = string;

/** The first key of a namespace, less than all of its objects' keys; the empty namespace means all. */
export function prefixOf(namespace: string | undefined): string {
  return namespace === undefined || namespace === "" ? "" : `${namespace}/`;
}

export class Collection {
  readonly #objects = new Map<Key, KubeObject>();
  #keys: Key[] = [];

  get(key: Key): KubeObject | undefined {
    return this.#objects.get(key);
  }

  put(key: Key, object: KubeObject): void {
    if (!this.#objects.has(key)) this.#keys.splice(this.#indexOf(key), 0, key);
    this.#objects.set(key, object);
  }

  remove(key: Key): void {
    if (this.#objects.delete(key)) this.#keys.splice(this.#indexOf(key), 1);
  }

  /** Objects whose key is at least `from` and starts with `prefix`, in order. */
  *entries(prefix: string, from = ""): Generator<readonly [Key, KubeObject]> {
    const start = from > prefix ? from : prefix;
    for (let index = this.#indexOf(start); index < this.#keys.length; index += 1) {
      const key = this.#keys[index];
      if (key === undefined || !key.startsWith(prefix)) return;
      const object = this.#objects.get(key);
      if (object !== undefined) yield [key, object];
    }
  }

  /** An independent collection of the same objects. */
  copy(): Collection {
    const copy = new Collection();
    copy.#keys = [...this.#keys];
    for (const [key, object] of this.#objects) copy.#objects.set(key, object);
    return copy;
  }

  /** Index of the first key that is not less than `key`. */
  #indexOf(key: Key): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
