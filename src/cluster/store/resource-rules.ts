/** What differs from resource to resource in how a write is stored: the strategies of `pkg/registry`. */
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import type { ResourceDescription } from "./resource-lookup.ts";

/** The token in `spec.finalizers` that keeps a namespace until it is empty. */
export const KUBERNETES_FINALIZER = "kubernetes";

/** Carries its name, so that selectors can pick namespaces by name. */
const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";

/** Resources whose strategy never sets `metadata.generation`, though they have a status. */
const WITHOUT_GENERATION: ReadonlySet<GroupResource> = new Set([
  "apiservices.apiregistration.k8s.io",
  "certificatesigningrequests.certificates.k8s.io",
  "horizontalpodautoscalers.autoscaling",
  "namespaces",
  "nodes",
  "persistentvolumeclaims",
  "persistentvolumes",
  "resourcequotas",
  "services",
  "volumeattachments.storage.k8s.io",
]);

/** Resources whose strategy sets it, though they have no status. */
const WITH_GENERATION: ReadonlySet<GroupResource> = new Set([
  "endpointslices.discovery.k8s.io",
  "ingressclasses.networking.k8s.io",
  "mutatingwebhookconfigurations.admissionregistration.k8s.io",
  "networkpolicies.networking.k8s.io",
  "priorityclasses.scheduling.k8s.io",
  "validatingwebhookconfigurations.admissionregistration.k8s.io",
]);

export function hasGeneration(
  resource: GroupResource,
  { hasStatus, isCustom }: ResourceDescription,
): boolean {
  if (isCustom === true) return true;
  return hasStatus ? !WITHOUT_GENERATION.has(resource) : WITH_GENERATION.has(resource);
}

/** Deployments hand annotations on to their ReplicaSets, so that their generation counts those too. */
export function bumpsOnAnnotations(resource: GroupResource): boolean {
  return resource === "deployments.apps";
}

/** Their controller writes a revision's number with the status, so that it is no new generation (`deploymentStatusStrategy`). */
export function statusCarriesAnnotations(resource: GroupResource): boolean {
  return resource === "deployments.apps";
}

/** The status that a change of the rest leaves. A Service that is no load balancer any more has no addresses of one. */
export function keptStatus(resource: GroupResource, changed: KubeObject, current: KubeObject): unknown {
  const { status } = current;
  if (resource !== "services" || specOf(changed)["type"] === "LoadBalancer" || !isJsonObject(status))
    return status;
  return { ...status, loadBalancer: {} };
}

/** `namespaceStrategy.PrepareForCreate`: a new namespace is Active and stays until the namespace controller lets it go. */
export function prepareNewNamespace(namespace: KubeObject): KubeObject {
  const finalizers = new Set([...namespaceFinalizers(namespace), KUBERNETES_FINALIZER]);
  return {
    ...withNameLabel(namespace),
    spec: { ...specOf(namespace), finalizers: [...finalizers] },
    status: { phase: "Active" },
  };
}

/** `PrepareForUpdate`: only the finalize subresource, which has no `current` here, changes `spec.finalizers`. */
export function prepareNamespaceUpdate(namespace: KubeObject, current: KubeObject | undefined): KubeObject {
  const labelled = withNameLabel(namespace);
  if (current === undefined) return labelled;
  return { ...labelled, spec: { ...specOf(labelled), finalizers: specOf(current)["finalizers"] } };
}

function withNameLabel(namespace: KubeObject): KubeObject {
  const { metadata } = namespace;
  const labels = { ...metadata.labels, [NAMESPACE_NAME_LABEL]: metadata.name ?? "" };
  return { ...namespace, metadata: { ...metadata, labels } };
}

/** `spec.finalizers` of a namespace; it is only removed when these are gone, too. */
export function namespaceFinalizers(namespace: KubeObject): readonly string[] {
  const finalizers = specOf(namespace)["finalizers"];
  return Array.isArray(finalizers) ? finalizers.filter((item) => typeof item === "string") : [];
}

/** Whether new objects are refused (`NamespaceLifecycle` admission). */
export function isTerminating({ status, metadata }: KubeObject): boolean {
  if (metadata.deletionTimestamp !== undefined) return true;
  return isJsonObject(status) && status["phase"] === "Terminating";
}

export function specOf({ spec }: KubeObject): JsonObject {
  return isJsonObject(spec) ? spec : {};
}
