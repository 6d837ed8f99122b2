/** The shape every Kubernetes object shares, and the names under which objects are found. */
import type { ObjectMeta } from "../../generated/kubernetes.ts";

export type { ObjectMeta };

/**
 * Any API object. Objects that come from the store are shared and deeply frozen: clone before changing one.
 * Timestamps are RFC 3339 strings, as on the wire.
 */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/**
 * Kubernetes' `GroupResource` in its usual notation: plural, dot, group; the core group has no dot.
 * Examples: `pods`, `deployments.apps`, `leases.coordination.k8s.io`.
 */
export type GroupResource = string;

/** `namespace` is the empty string for cluster-scoped resources. */
export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}
