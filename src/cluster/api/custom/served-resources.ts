/** Everything that a cluster serves: what is built in, and what its CustomResourceDefinitions bring. */
import { resourceAt, type ResourceInfo, resources } from "../../../k8s/catalogue.ts";
import { DEFINITIONS, servedVersions } from "../../../k8s/custom/definition.ts";
import { compareVersions } from "../../../k8s/custom/version-order.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import type { Store } from "../../store/store.ts";

type Reader = Pick<Store, "list" | "get">;

/** By the parts of a request path; undefined for what is not served. */
export function servedAt(
  store: Reader,
  { group, version, plural }: Pick<ResourceInfo, "group" | "version" | "plural">,
): ResourceInfo | undefined {
  const builtIn = resourceAt(group, version, plural);
  if (builtIn !== undefined || group === "") return builtIn;
  const definition = store.get(DEFINITIONS, { namespace: "", name: `${plural}.${group}` });
  if (definition === undefined) return undefined;
  return servedVersions(definition).find((info) => info.version === version);
}

interface Known {
  readonly definitions: readonly KubeObject[];
  readonly infos: readonly ResourceInfo[];
}

const known = new WeakMap<Reader, Known>();

/** In discovery order. The same array as long as no definition changes, so that what is made of it can be kept. */
export function servedResources(store: Reader): readonly ResourceInfo[] {
  const definitions = store.list(DEFINITIONS).items;
  if (definitions.length === 0) return resources;
  const before = known.get(store);
  if (before !== undefined && isSame(before.definitions, definitions)) return before.infos;
  const custom = definitions
    .flatMap(servedVersions)
    .toSorted(
      (a, b) =>
        byText(a.group, b.group) || compareVersions(a.version, b.version) || byText(a.plural, b.plural),
    );
  const infos = [...resources, ...custom];
  known.set(store, { definitions, infos });
  return infos;
}

function isSame(before: readonly KubeObject[], after: readonly KubeObject[]): boolean {
  return before.length === after.length && before.every((one, index) => one === after[index]);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
