/** ReplicaSets and ReplicationControllers, which differ in how they write their selector, seen as one kind. */
import type {
  LabelSelector,
  PodTemplateSpec,
  ReplicaSet,
  ReplicaSetStatus,
} from "../../../../generated/kubernetes.ts";
import type { GroupResource, KubeObject } from "../../../k8s/object.ts";

export const REPLICA_SETS = "replicasets.apps";

/** As the store returns it. */
export type StoredReplicaSet = KubeObject & ReplicaSet;

/** One of the two kinds, and who tells of it in events. */
export interface ReplicaKind {
  readonly resource: GroupResource;
  readonly kind: string;
  readonly component: string;
}

export const REPLICA_SET_KIND: ReplicaKind = {
  resource: REPLICA_SETS,
  kind: "ReplicaSet",
  component: "replicaset-controller",
};

export const REPLICATION_CONTROLLER_KIND: ReplicaKind = {
  resource: "replicationcontrollers",
  kind: "ReplicationController",
  component: "replication-controller",
};

/** What keeps a number of pods alive. */
export interface ReplicaOwner {
  readonly object: KubeObject;
  readonly replicas: number;
  readonly minReadySeconds: number;
  readonly selector: LabelSelector | undefined;
  readonly template: PodTemplateSpec;
  readonly status: ReplicaSetStatus | undefined;
}

interface ReplicationController {
  readonly spec?: {
    readonly replicas?: number;
    readonly minReadySeconds?: number;
    readonly selector?: { readonly [label: string]: string };
    readonly template?: PodTemplateSpec;
  };
  readonly status?: ReplicaSetStatus;
}

export function replicaOwner(object: KubeObject): ReplicaOwner {
  const { kind } = object;
  if (kind === REPLICATION_CONTROLLER_KIND.kind) {
    const { spec = {}, status } = object as ReplicationController;
    const { selector = {}, ...rest } = spec;
    // An empty set of labels would select everything; validation has seen to it that there is one.
    const matchLabels = { ...selector };
    const hasLabels = Object.keys(matchLabels).length > 0;
    return owner(object, { ...rest, status, selector: hasLabels ? { matchLabels } : undefined });
  }
  const { spec, status }: ReplicaSet = object;
  return owner(object, { ...spec, status, selector: spec?.selector });
}

interface OwnerFields {
  readonly replicas?: number;
  readonly minReadySeconds?: number;
  readonly selector: LabelSelector | undefined;
  readonly template?: PodTemplateSpec;
  readonly status: ReplicaSetStatus | undefined;
}

function owner(object: KubeObject, fields: OwnerFields): ReplicaOwner {
  const { replicas = 1, minReadySeconds = 0, selector, template = {}, status } = fields;
  return { object, replicas, minReadySeconds, selector, template, status };
}
