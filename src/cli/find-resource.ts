/** Finds out where objects of a kind live: built-in kinds from our own list, all others by asking the cluster. */
import { resourceOfKind } from "../k8s/catalogue.ts";
import type { GroupResource, KubeObject } from "../k8s/object.ts";
import { StatusError } from "../k8s/status-error.ts";
import type { ApiClient } from "./api-client.ts";

export interface FoundResource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly groupResource: GroupResource;
  /** Brought by a CustomResourceDefinition: strategic merge patches are not for it. */
  readonly isCustom: boolean;
}

interface ResourceList {
  readonly resources: readonly {
    readonly name: string;
    readonly singularName: string;
    readonly kind: string;
    readonly namespaced: boolean;
  }[];
}

/** Undefined for kinds that the cluster does not store. */
export async function findResource(
  api: ApiClient,
  { apiVersion, kind }: Pick<KubeObject, "apiVersion" | "kind">,
): Promise<FoundResource | undefined> {
  const builtIn = resourceOfKind(apiVersion, kind);
  if (builtIn !== undefined) return builtIn.stored ? { ...builtIn, isCustom: false } : undefined;
  const [group = "", version, ...more] = apiVersion.split("/");
  if (version === undefined || more.length > 0) return undefined;
  const list = await listOf(api, `/apis/${encodeURIComponent(group)}/${encodeURIComponent(version)}`);
  const found = list?.resources.find((one) => one.kind === kind && !one.name.includes("/"));
  if (found === undefined) return undefined;
  const { name: plural, singularName: singular, namespaced } = found;
  return {
    group,
    version,
    plural,
    singular,
    namespaced,
    groupResource: `${plural}.${group}`,
    isCustom: true,
  };
}

async function listOf(api: ApiClient, path: string): Promise<ResourceList | undefined> {
  try {
    return await api.request<ResourceList>(path);
  } catch (error) {
    if (error instanceof StatusError && error.reason === "NotFound") return undefined;
    throw error;
  }
}
