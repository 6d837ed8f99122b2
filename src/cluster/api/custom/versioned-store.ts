/** The store as a client of one version of a custom resource sees it, so that no verb has to know of versions. */
import { apiVersionOf, type ResourceInfo } from "../../../k8s/catalogue.ts";
import { readAs, storeAs } from "../../../k8s/custom/convert.ts";
import type { CustomVersion } from "../../../k8s/custom/definition.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import type { Selection, Store } from "../../store/store.ts";

/** Converts the objects of the one resource; all others pass as they are. */
export function versionedStore(store: Store, info: ResourceInfo, custom: CustomVersion): Store {
  const own = (resource: string) => resource === info.groupResource;
  const apiVersion = apiVersionOf(info);
  const show = (object: KubeObject) =>
    object.kind === info.kind ? readAs(object, custom, apiVersion) : object;
  const keep = (object: KubeObject) => storeAs(object, custom);
  return {
    create: (resource, object, options) =>
      own(resource)
        ? show(store.create(resource, keep(object), options))
        : store.create(resource, object, options),
    get(resource, at) {
      const object = store.get(resource, at);
      return object === undefined || !own(resource) ? object : show(object);
    },
    update(resource, at, change, options) {
      if (!own(resource)) return store.update(resource, at, change, options);
      const changed = (current: KubeObject) => {
        const before = show(current);
        const next = change(before);
        return next === before ? current : keep(next);
      };
      return show(store.update(resource, at, changed, options));
    },
    delete(resource, at, options) {
      const { object, gone } = store.delete(resource, at, options);
      return { object: own(resource) ? show(object) : object, gone };
    },
    list(resource, query = {}) {
      if (!own(resource)) return store.list(resource, query);
      const result = store.list(resource, { ...query, ...selected(query, show) });
      return { ...result, items: result.items.map(show) };
    },
    watch(resource, query, onEvent) {
      if (!own(resource)) return store.watch(resource, query, onEvent);
      return store.watch(resource, { ...query, ...selected(query, show) }, ({ type, object }) =>
        onEvent({ type, object: type === "BOOKMARK" ? { ...object, apiVersion } : show(object) }),
      );
    },
    resourceVersion: () => store.resourceVersion(),
    close: () => store.close(),
  };
}

/** Selectors look at the object as the client sees it. */
function selected({ matches }: Selection, show: (object: KubeObject) => KubeObject): Selection {
  return matches === undefined ? {} : { matches: (object) => matches(show(object)) };
}
