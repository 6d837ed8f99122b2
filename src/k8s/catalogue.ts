/** Which resources the API serves: one entry per built-in resource, found by path, by kind or by name. */
import { resourceEntries, type ResourceEntry, type SubresourceEntry } from "../../generated/resources.ts";
import type { CustomVersion } from "./custom/definition.ts";
import type { GroupResource } from "./object.ts";

/** `pods/log`, `deployments/scale`, ...; the kind may belong to another group (`autoscaling/v1` Scale). */
export type SubresourceInfo = SubresourceEntry;

export interface ResourceInfo extends ResourceEntry {
  /** `pods`, `deployments.apps`: the store's key. */
  readonly groupResource: GroupResource;
  readonly singular: string;
  readonly shortNames: readonly string[];
  /** `all` is what `kubectl get all` lists. */
  readonly categories: readonly string[];
  /** Whether `status` is a subresource, so that the main resource's writes leave it alone. */
  readonly hasStatus: boolean;
  /** False for requests dressed as objects (reviews, bindings) and for what is measured: they are answered, never stored. */
  readonly stored: boolean;
  /** Whether Pillion does what the object says. What is only stored gets a `Warning:`. */
  readonly actedOn: boolean;
  /** Of what a CustomResourceDefinition brings; absent for what is built in. */
  readonly custom?: CustomVersion;
}

/** Kubernetes' own short names (each registry's `ShortNames()`). */
const SHORT_NAMES: Readonly<Record<GroupResource, readonly string[]>> = {
  "certificatesigningrequests.certificates.k8s.io": ["csr"],
  configmaps: ["cm"],
  "cronjobs.batch": ["cj"],
  "customresourcedefinitions.apiextensions.k8s.io": ["crd", "crds"],
  "daemonsets.apps": ["ds"],
  "deployments.apps": ["deploy"],
  endpoints: ["ep"],
  events: ["ev"],
  "horizontalpodautoscalers.autoscaling": ["hpa"],
  "ingresses.networking.k8s.io": ["ing"],
  "ipaddresses.networking.k8s.io": ["ip"],
  limitranges: ["limits"],
  namespaces: ["ns"],
  "networkpolicies.networking.k8s.io": ["netpol"],
  nodes: ["no"],
  persistentvolumeclaims: ["pvc"],
  persistentvolumes: ["pv"],
  "poddisruptionbudgets.policy": ["pdb"],
  pods: ["po"],
  "priorityclasses.scheduling.k8s.io": ["pc"],
  "replicasets.apps": ["rs"],
  replicationcontrollers: ["rc"],
  resourcequotas: ["quota"],
  serviceaccounts: ["sa"],
  services: ["svc"],
  "statefulsets.apps": ["sts"],
  "storageclasses.storage.k8s.io": ["sc"],
  "volumeattributesclasses.storage.k8s.io": ["vac"],
};

/** Kubernetes' own categories (each registry's `Categories()`). */
const CATEGORIES: Readonly<Record<string, readonly GroupResource[]>> = {
  all: [
    "cronjobs.batch",
    "daemonsets.apps",
    "deployments.apps",
    "horizontalpodautoscalers.autoscaling",
    "jobs.batch",
    "pods",
    "replicasets.apps",
    "replicationcontrollers",
    "services",
    "statefulsets.apps",
  ],
  "api-extensions": [
    "apiservices.apiregistration.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
    "mutatingadmissionpolicies.admissionregistration.k8s.io",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
  ],
};

const ACTED_ON: ReadonlySet<GroupResource> = new Set([
  "clusterrolebindings.rbac.authorization.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "configmaps",
  "controllerrevisions.apps",
  "cronjobs.batch",
  "customresourcedefinitions.apiextensions.k8s.io",
  "daemonsets.apps",
  "deployments.apps",
  "endpoints",
  "endpointslices.discovery.k8s.io",
  "events",
  "jobs.batch",
  "leases.coordination.k8s.io",
  "mutatingwebhookconfigurations.admissionregistration.k8s.io",
  "namespaces",
  "nodes",
  "persistentvolumeclaims",
  "persistentvolumes",
  "poddisruptionbudgets.policy",
  "pods",
  "priorityclasses.scheduling.k8s.io",
  "replicasets.apps",
  "replicationcontrollers",
  "rolebindings.rbac.authorization.k8s.io",
  "roles.rbac.authorization.k8s.io",
  "secrets",
  "serviceaccounts",
  "services",
  "statefulsets.apps",
  "storageclasses.storage.k8s.io",
  "validatingwebhookconfigurations.admissionregistration.k8s.io",
]);

/** What metrics-server adds to a cluster. Behind all others: clients take the first that is called `pods`. */
const MEASURED: readonly ResourceEntry[] = [
  { plural: "nodes", kind: "NodeMetrics", namespaced: false },
  { plural: "pods", kind: "PodMetrics", namespaced: true },
].map((entry) => ({
  group: "metrics.k8s.io",
  version: "v1beta1",
  ...entry,
  verbs: ["get", "list"],
  subresources: [],
}));

/** Every resource in discovery order: the core group first, then the groups as a real server lists them. */
export const resources: readonly ResourceInfo[] = [...resourceEntries, ...MEASURED].map((entry) => {
  const groupResource = entry.group === "" ? entry.plural : `${entry.plural}.${entry.group}`;
  const stored = entry.verbs.includes("create") && entry.verbs.includes("list");
  return {
    ...entry,
    groupResource,
    singular: entry.kind.toLowerCase(),
    shortNames: SHORT_NAMES[groupResource] ?? [],
    categories: Object.keys(CATEGORIES).filter((name) => CATEGORIES[name]?.includes(groupResource)),
    hasStatus: entry.subresources.some(({ name }) => name === "status"),
    stored,
    actedOn: !stored || ACTED_ON.has(groupResource),
  };
});

const byGroupResource = new Map(resources.map((info) => [info.groupResource, info]));
const byPath = new Map(resources.map((info) => [`${info.group}/${info.version}/${info.plural}`, info]));
const byKind = new Map(resources.map((info) => [`${apiVersionOf(info)}/${info.kind}`, info]));

/** `v1` for the core group, else `group/version`. */
export function apiVersionOf({
  group,
  version,
}: {
  readonly group: string;
  readonly version: string;
}): string {
  return group === "" ? version : `${group}/${version}`;
}

/** By the store's key, for example `deployments.apps`. */
export function resourceOf(groupResource: GroupResource): ResourceInfo | undefined {
  return byGroupResource.get(groupResource);
}

/** By the parts of a request path; the core group is the empty string. */
export function resourceAt(group: string, version: string, plural: string): ResourceInfo | undefined {
  return byPath.get(`${group}/${version}/${plural}`);
}

/** By what an object says of itself, for example `apps/v1` and `Deployment`. */
export function resourceOfKind(apiVersion: string, kind: string): ResourceInfo | undefined {
  return byKind.get(`${apiVersion}/${kind}`);
}
