/** What the store must know of a resource; the catalogue of `k8s` fits as it is. */
import type { GroupResource } from "../../k8s/object.ts";

export interface ResourceDescription {
  /** The empty string for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly hasStatus: boolean;
  /** Brought by a CustomResourceDefinition. */
  readonly isCustom?: true;
}

/** Undefined for what is not served. */
export type ResourceLookup = (resource: GroupResource) => ResourceDescription | undefined;

/** `v1` or `apps/v1`. */
export function apiVersionOf({ group, version }: ResourceDescription): string {
  return group === "" ? version : `${group}/${version}`;
}
