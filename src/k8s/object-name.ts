/** Where an object is stored, and the one text under which it waits in queues and stands in maps. */
import type { KubeObject, ObjectName } from "./object.ts";

interface Named {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** `namespace/name`; cluster-scoped objects have an empty namespace. */
export function keyOf({ namespace = "", name = "" }: Named): string {
  return `${namespace}/${name}`;
}

/** Where the object with this key is stored. */
export function placeOfKey(key: string): ObjectName {
  const [namespace = "", name = ""] = key.split("/");
  return { namespace, name };
}

/** Where an object is stored. */
export function placeOf({ metadata: { namespace = "", name = "" } }: KubeObject): ObjectName {
  return { namespace, name };
}
