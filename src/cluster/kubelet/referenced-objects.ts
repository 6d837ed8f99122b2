/** Reads the ConfigMaps and Secrets a pod refers to, and remembers which, so that a change reaches the pod. */
import type { ConfigMap, Secret } from "../../../generated/kubernetes.ts";
import type { Store } from "../store/store.ts";

export type ReferencedResource = "configmaps" | "secrets";

export interface ReferencedObjects {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
}

/** `onRead` gets the key of every object asked for, found or not. */
export function referencedObjects(
  store: Store,
  namespace: string,
  onRead: (key: string) => void,
): ReferencedObjects {
  return {
    configMap(name) {
      onRead(referenceKey("configmaps", namespace, name));
      return store.get("configmaps", { namespace, name });
    },
    secret(name) {
      onRead(referenceKey("secrets", namespace, name));
      return store.get("secrets", { namespace, name });
    },
  };
}

export function referenceKey(resource: ReferencedResource, namespace: string, name: string): string {
  return `${resource}/${namespace}/${name}`;
}
