/** Which ReplicaSet is which of a Deployment's revisions (`pkg/controller/deployment/util`). */
import type { Deployment, PodTemplateSpec } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { jsonEqual } from "../../../k8s/patch/json.ts";
import { controllerReference } from "../controller.ts";
import {
  annotationsForReplicaSet,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  REVISION,
  revisionOf,
} from "./deployment-annotations.ts";
import { mostReplicas } from "./deployment-limits.ts";
import { templateHash } from "./deployment-hash.ts";
import type { StoredReplicaSet } from "./replica-set-owner.ts";

export const DEPLOYMENTS = "deployments.apps";
const TEMPLATE_HASH = "pod-template-hash";

/** As the store returns it. */
export type StoredDeployment = KubeObject & Deployment;

/** A Deployment and all that it controls. */
export interface Revisions {
  readonly deployment: StoredDeployment;
  /** The one of today's template, if it is there. */
  readonly newest: StoredReplicaSet | undefined;
  /** All others, those without replicas too. */
  readonly old: readonly StoredReplicaSet[];
}

/** The oldest of equals is the one (`FindNewReplicaSet`). */
export function sortRevisions(deployment: StoredDeployment, sets: readonly StoredReplicaSet[]): Revisions {
  const template = deployment.spec?.template;
  const newest = sets.toSorted(byCreation).find(({ spec }) => isSameTemplate(spec?.template, template));
  return { deployment, newest, old: sets.filter((set) => set !== newest) };
}

export function isSameTemplate(a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean {
  return jsonEqual(withoutHash(a), withoutHash(b));
}

function withoutHash(template: PodTemplateSpec = {}): PodTemplateSpec {
  const { [TEMPLATE_HASH]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** Oldest first. */
export function byCreation(a: KubeObject, b: KubeObject): number {
  const created = ({ metadata }: KubeObject) => Date.parse(metadata.creationTimestamp ?? "") || 0;
  const names = [a.metadata.name ?? "", b.metadata.name ?? ""] as const;
  return created(a) - created(b) || (names[0] < names[1] ? -1 : Number(names[0] > names[1]));
}

export function replicasOf({ spec }: StoredReplicaSet): number {
  return spec?.replicas ?? 0;
}

export function replicasTogether(sets: readonly StoredReplicaSet[]): number {
  return sets.reduce((sum, set) => sum + replicasOf(set), 0);
}

/** Has replicas, or should have. */
export function isActiveSet(set: StoredReplicaSet): boolean {
  return replicasOf(set) > 0;
}

export function allSets({ newest, old }: Revisions): StoredReplicaSet[] {
  return newest === undefined ? [...old] : [...old, newest];
}

/** One more than any other's. */
export function nextRevision(old: readonly StoredReplicaSet[]): number {
  return Math.max(0, ...old.map(revisionOf)) + 1;
}

/** The ReplicaSet of today's template, ready for `CreateObject`. */
export function newReplicaSet({ deployment, old }: Revisions, replicas: number): StoredReplicaSet {
  const { metadata, spec, status } = deployment;
  const { template = {}, selector = {}, minReadySeconds } = spec ?? {};
  const hash = templateHash(template, status?.collisionCount);
  const labels = { ...template.metadata?.labels, [TEMPLATE_HASH]: hash };
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${metadata.name ?? ""}-${hash}`,
      namespace: metadata.namespace ?? "",
      labels: { ...labels },
      annotations: {
        ...annotationsForReplicaSet(metadata.annotations),
        [REVISION]: String(nextRevision(old)),
        [DESIRED_REPLICAS]: String(spec?.replicas ?? 0),
        [MAX_REPLICAS]: String(mostReplicas(deployment)),
      },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas,
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [TEMPLATE_HASH]: hash } },
      template: structuredClone({ ...template, metadata: { ...template.metadata, labels } }),
    },
  };
}
