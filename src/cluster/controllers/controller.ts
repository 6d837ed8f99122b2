/** What every controller gets, whatever it looks after. */
import type { OwnerReference } from "../../../generated/kubernetes.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import type { Store } from "../store/store.ts";

/**
 * Creates an object as a client of the API would: defaults, admission (webhooks too, hence the promise), validation.
 * Rejects with the `StatusError` that the client would get. What it resolves to is in the store.
 */
export type CreateObject = (resource: GroupResource, object: KubeObject) => Promise<KubeObject>;

export interface ControllerParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly create: CreateObject;
}

/** The reference that makes `owner` the controller of an object (`metav1.NewControllerRef`). */
export function controllerReference({ apiVersion, kind, metadata }: KubeObject): OwnerReference {
  const { name = "", uid = "" } = metadata;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** Who controls an object, if anybody does (`metav1.GetControllerOf`). */
export function controllerOf({ metadata }: KubeObject): OwnerReference | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}
