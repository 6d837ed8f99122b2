/** The resources that a store's CustomResourceDefinitions bring: they live and end with those objects, so nobody registers them. */
import { DEFINITIONS, storedResource, type StoredCustomResource } from "../../k8s/custom/definition.ts";
import type { KubeObject } from "../../k8s/object.ts";
import type { Store } from "./store.ts";

/** All of them, in the order of their names. */
export function customResources(store: Pick<Store, "list">): StoredCustomResource[] {
  return store.list(DEFINITIONS).items.flatMap((definition) => storedResource(definition) ?? []);
}

export interface CustomResourceWatcher {
  /** Once per resource; the first ones before `followCustomResources` returns. */
  readonly onNew: (resource: StoredCustomResource) => void;
  /** After the last object of the resource. */
  readonly onGone: (resource: StoredCustomResource) => void;
}

/** Tells which custom resources there are until the returned function is called. */
export function followCustomResources(store: Store, { onNew, onGone }: CustomResourceWatcher): () => void {
  const known = new Set<string>();
  return store.watch(DEFINITIONS, {}, ({ type, object }) => {
    const resource = storedResource(object);
    if (resource === undefined) return;
    const { groupResource } = resource;
    if (type === "DELETED") {
      known.delete(groupResource);
      onGone(resource);
    } else if (!known.has(groupResource)) {
      known.add(groupResource);
      onNew(resource);
    }
  });
}

/** The resource of one definition, by its name, which is the store's key of the resource. */
export function describeCustom(definition: KubeObject | undefined): StoredCustomResource | undefined {
  return definition === undefined ? undefined : storedResource(definition);
}
