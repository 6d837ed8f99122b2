/** Whose pods are whose: adopts what a selector matches and nobody controls, releases what it no longer matches. */
import type { LabelSelector } from "../../../../generated/kubernetes.ts";
import type { GroupResource, KubeObject } from "../../../k8s/object.ts";
import { labelSelectorOf } from "../../../k8s/selectors.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import type { Store } from "../../store/store.ts";
import { controllerOf, controllerReference } from "../controller.ts";

export interface Claiming {
  readonly store: Store;
  /** Of what is claimed, for example `pods`. */
  readonly resource: GroupResource;
  readonly owner: KubeObject;
  readonly selector: LabelSelector | undefined;
  /** False for objects that are left alone, whatever their labels; absent: any may be claimed. */
  readonly isCandidate?: (object: KubeObject) => boolean;
}

/** The owner's objects after adoption and release (`ControllerRefManager`), finished and terminating ones included. */
export function claimObjects(claiming: Claiming): KubeObject[] {
  const { store, resource, owner, isCandidate = () => true } = claiming;
  const { namespace = "", deletionTimestamp } = owner.metadata;
  const selector = labelSelectorOf(claiming.selector);
  const claimed: KubeObject[] = [];
  for (const object of store.list(resource, { namespace }).items) {
    const controller = controllerOf(object);
    const isMatch = selector.matches(object.metadata.labels) && isCandidate(object);
    if (controller !== undefined) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (isMatch || deletionTimestamp !== undefined) claimed.push(object);
      else change(claiming, object, release);
      continue;
    }
    if (!isMatch || deletionTimestamp !== undefined || object.metadata.deletionTimestamp !== undefined)
      continue;
    const adopted = change(claiming, object, adopt);
    if (adopted !== undefined) claimed.push(adopted);
  }
  return claimed;
}

function adopt(object: KubeObject, owner: KubeObject): KubeObject {
  const references = [...(object.metadata.ownerReferences ?? []), controllerReference(owner)];
  return { ...object, metadata: { ...object.metadata, ownerReferences: references } };
}

function release(object: KubeObject, { metadata: { uid } }: KubeObject): KubeObject {
  const others = (object.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid);
  return { ...object, metadata: { ...object.metadata, ownerReferences: others } };
}

/** `undefined` when the object is gone, or is another by now. */
function change(
  { store, resource, owner }: Claiming,
  { metadata }: KubeObject,
  how: (object: KubeObject, owner: KubeObject) => KubeObject,
): KubeObject | undefined {
  const { namespace = "", name = "", uid } = metadata;
  try {
    return store.update(resource, { namespace, name }, (current) =>
      current.metadata.uid === uid ? how(current, owner) : current,
    );
  } catch (error) {
    if (error instanceof StatusError && error.reason === "NotFound") return undefined;
    throw error;
  }
}
