/** What a Deployment's controller writes: sizes, with their events, and statuses. */
import type { DeploymentStatus } from "../../../../generated/kubernetes.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { type EventRecorder, referenceTo } from "../../store/event-recorder.ts";
import type { Store } from "../../store/store.ts";
import type { ControllerParts } from "../controller.ts";
import { DESIRED_REPLICAS, MAX_REPLICAS } from "./deployment-annotations.ts";
import { mostReplicas } from "./deployment-limits.ts";
import { DEPLOYMENTS, replicasOf, type Revisions, type StoredDeployment } from "./deployment-revision.ts";
import type { Scaling } from "./deployment-steps.ts";
import { REPLICA_SETS, type StoredReplicaSet } from "./replica-set-owner.ts";

/** The ReplicaSets as they are afterwards (`scaleReplicaSet`). */
export function applyScalings(
  parts: Pick<ControllerParts, "store"> & { readonly events: EventRecorder },
  revisions: Revisions,
  scalings: readonly Scaling[],
): Revisions {
  const after = new Map(
    scalings.map((scaling) => [scaling.set, scale(parts, revisions.deployment, scaling)]),
  );
  const { deployment, newest, old } = revisions;
  return {
    deployment,
    newest: newest === undefined ? undefined : (after.get(newest) ?? newest),
    old: old.map((set) => after.get(set) ?? set),
  };
}

function scale(
  { store, events }: Pick<ControllerParts, "store"> & { readonly events: EventRecorder },
  deployment: StoredDeployment,
  { set, replicas }: Scaling,
): StoredReplicaSet {
  const annotations = {
    ...set.metadata.annotations,
    [DESIRED_REPLICAS]: String(deployment.spec?.replicas ?? 0),
    [MAX_REPLICAS]: String(mostReplicas(deployment)),
  };
  const scaled = updateSet(store, set, (current) => ({
    ...current,
    metadata: { ...current.metadata, annotations: { ...current.metadata.annotations, ...annotations } },
    spec: { ...current.spec, selector: current.spec?.selector ?? {}, replicas },
  }));
  const before = replicasOf(set);
  if (before !== replicas) recordScaling(events, deployment, { set, before, replicas });
  return scaled;
}

export function recordScaling(
  events: EventRecorder,
  deployment: StoredDeployment,
  { set, before, replicas }: Scaling & { readonly before: number },
): void {
  const direction = before < replicas ? "up" : "down";
  const name = set.metadata.name ?? "";
  events.record({
    about: referenceTo(deployment),
    type: "Normal",
    reason: "ScalingReplicaSet",
    message: `Scaled ${direction} replica set ${name} from ${before} to ${replicas}`,
  });
}

export function updateSet(
  store: Store,
  { metadata: { namespace = "", name = "" } }: KubeObject,
  change: (current: StoredReplicaSet) => StoredReplicaSet,
): StoredReplicaSet {
  return store.update(REPLICA_SETS, { namespace, name }, (current) => change(current));
}

/** Writes nothing when it is what was there; the Deployment as it is afterwards. */
export function writeStatus(
  store: Store,
  { metadata }: KubeObject,
  status: DeploymentStatus,
): StoredDeployment {
  const { namespace = "", name = "" } = metadata;
  return store.update(DEPLOYMENTS, { namespace, name }, (current) => ({ ...current, status }), {
    subresource: "status",
  });
}
