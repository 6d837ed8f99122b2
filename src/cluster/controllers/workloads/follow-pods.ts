/** Whose owner has to look again when a pod has changed (`addPod`, `updatePod` and `deletePod` of every workload controller). */
import type { LabelSelector } from "../../../../generated/kubernetes.ts";
import { SelectorError } from "../../../k8s/label-requirement.ts";
import type { GroupResource, KubeObject } from "../../../k8s/object.ts";
import { labelSelectorOf } from "../../../k8s/selectors.ts";
import type { Store, WatchEvent } from "../../store/store.ts";
import { keyOf } from "../../../k8s/object-name.ts";
import { controllerOf } from "../controller.ts";

/** How owners of one kind find what is theirs. */
export interface Ownership {
  readonly store: Store;
  /** Of the owners, with their kind: `replicasets.apps`, `ReplicaSet`. */
  readonly resource: GroupResource;
  readonly kind: string;
  /** Undefined for owners that adopt nothing. */
  readonly selectorOf: (owner: KubeObject) => LabelSelector | undefined;
  /** False for owners that do not care any more. @default all care */
  readonly cares?: (owner: KubeObject) => boolean;
}

/** The one that controls an object, or all that may want to adopt it when nobody does. A selector that is none finds nothing. */
export function ownersOf(ownership: Ownership, object: KubeObject): KubeObject[] {
  const { store, resource, kind, selectorOf, cares = () => true } = ownership;
  const { namespace = "", labels } = object.metadata;
  const controller = controllerOf(object);
  if (controller === undefined) {
    const matches = (owner: KubeObject) => cares(owner) && isSelected(selectorOf(owner), labels);
    return [...store.list(resource, { namespace, matches }).items];
  }
  if (controller.kind !== kind) return [];
  const owner = store.get(resource, { namespace, name: controller.name });
  return owner?.metadata.uid === controller.uid && cares(owner) ? [owner] : [];
}

function isSelected(selector: LabelSelector | undefined, labels: KubeObject["metadata"]["labels"]): boolean {
  try {
    return labelSelectorOf(selector).matches(labels);
  } catch (error) {
    if (error instanceof SelectorError) return false;
    throw error;
  }
}

export interface Following extends Ownership {
  /** Takes the key of an owner that has to look again. */
  readonly wake: (key: string) => void;
  /** Told of every change, with the owners that it wakes. */
  readonly observe?: (event: WatchEvent, owners: readonly KubeObject[]) => void;
}

/**
 * Wakes the owners of every pod that there is, comes, changes and goes, until the returned function is called. Who has controlled
 * a pod until now hears of it too: somebody may have taken the pod away.
 */
export function followPods(following: Following): () => void {
  const { store, wake, observe } = following;
  /** By the pod's uid. */
  const before = new Map<string, string>();
  return store.watch("pods", {}, (event) => {
    const { type, object } = event;
    if (type === "BOOKMARK") return;
    const { uid = "" } = object.metadata;
    const last = before.get(uid);
    if (last !== undefined) wake(last);
    const owners = ownersOf(following, object);
    for (const { metadata } of owners) wake(keyOf(metadata));
    const [owner] = controllerOf(object) === undefined ? [] : owners;
    if (owner === undefined || type === "DELETED") before.delete(uid);
    else before.set(uid, keyOf(owner.metadata));
    observe?.(event, owners);
  });
}
