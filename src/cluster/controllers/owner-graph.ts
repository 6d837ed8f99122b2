/** Who owns whom, by uid: the garbage collector's picture of the store. */
import type { GroupResource, KubeObject, ObjectName } from "../../k8s/object.ts";
import type { OwnerReference } from "../../../generated/kubernetes.ts";

export interface OwnedNode {
  readonly uid: string;
  readonly resource: GroupResource;
  readonly at: ObjectName;
  /** The newest state seen. */
  readonly object: KubeObject;
}

export class OwnerGraph {
  readonly #nodes = new Map<string, OwnedNode>();
  /** Owner uid -> uids of what names it; the owner itself need not exist. */
  readonly #dependents = new Map<string, Set<string>>();

  get(uid: string): OwnedNode | undefined {
    return this.#nodes.get(uid);
  }

  put(resource: GroupResource, object: KubeObject): OwnedNode | undefined {
    const { uid, name, namespace = "" } = object.metadata;
    if (uid === undefined || name === undefined) return undefined;
    this.#unlink(uid);
    const node = { uid, resource, at: { namespace, name }, object };
    this.#nodes.set(uid, node);
    for (const owner of ownersOf(object)) {
      const dependents = this.#dependents.get(owner.uid) ?? new Set();
      this.#dependents.set(owner.uid, dependents.add(uid));
    }
    return node;
  }

  remove(uid: string): void {
    this.#unlink(uid);
    this.#nodes.delete(uid);
  }

  dependentsOf(uid: string): OwnedNode[] {
    const nodes: OwnedNode[] = [];
    for (const dependent of this.#dependents.get(uid) ?? []) {
      const node = this.#nodes.get(dependent);
      if (node !== undefined) nodes.push(node);
    }
    return nodes;
  }

  #unlink(uid: string): void {
    const node = this.#nodes.get(uid);
    if (node === undefined) return;
    for (const owner of ownersOf(node.object)) {
      const dependents = this.#dependents.get(owner.uid);
      dependents?.delete(uid);
      if (dependents?.size === 0) this.#dependents.delete(owner.uid);
    }
  }
}

export function ownersOf({ metadata }: KubeObject): readonly OwnerReference[] {
  return metadata.ownerReferences ?? [];
}
