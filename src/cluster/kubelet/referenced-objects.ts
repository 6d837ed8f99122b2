/** Reads the objects a pod refers to, and remembers which, so that a change reaches the pod. */
import type { ConfigMap, PersistentVolumeClaim, Secret, Service } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import type { Store } from "../store/store.ts";

/** Resources whose changes reach the pods that refer to them. */
export const referencedResources = ["configmaps", "secrets", "persistentvolumeclaims"] as const;

export type ReferencedResource = (typeof referencedResources)[number];

export interface ReferencedObjects {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  claim(name: string): PersistentVolumeClaim | undefined;
  /** Not watched: a claim says when its volume is there. */
  persistentVolume(name: string): KubeObject | undefined;
  /** Of the pod's own namespace and of the API; not watched: variables are what they were at the start. */
  services(): readonly Service[];
}

/** `onRead` gets the key of every watched object asked for, found or not. */
export function referencedObjects(
  store: Store,
  namespace: string,
  onRead: (key: string) => void,
): ReferencedObjects {
  const read = (resource: ReferencedResource, name: string) => {
    onRead(referenceKey(resource, namespace, name));
    return store.get(resource, { namespace, name });
  };
  return {
    configMap: (name) => read("configmaps", name),
    secret: (name) => read("secrets", name),
    claim: (name) => read("persistentvolumeclaims", name),
    persistentVolume: (name) => store.get("persistentvolumes", { namespace: "", name }),
    services: () =>
      [...new Set(["default", namespace])].flatMap((one) => store.list("services", { namespace: one }).items),
  };
}

export function referenceKey(resource: ReferencedResource, namespace: string, name: string): string {
  return `${resource}/${namespace}/${name}`;
}
