/** Defaults of the controllers of long-running pods (apps `v1/defaults.go`, core ReplicationController). */
import type {
  DaemonSet,
  Deployment,
  PersistentVolumeClaim,
  ObjectMeta,
  PodTemplateSpec,
  ReplicaSet,
  StatefulSet,
} from "../../../generated/kubernetes.ts";
import { defaultPodTemplate } from "./pod.ts";
import { defaultClaimSpec } from "./volumes.ts";

const REVISION_HISTORY = 10;

export function defaultDeployment({ spec }: Deployment): void {
  if (spec === undefined) return;
  spec.replicas ??= 1;
  const strategy = (spec.strategy ??= {});
  strategy.type ??= "RollingUpdate";
  if (strategy.type === "RollingUpdate") {
    const rolling = (strategy.rollingUpdate ??= {});
    rolling.maxUnavailable ??= "25%";
    rolling.maxSurge ??= "25%";
  }
  spec.revisionHistoryLimit ??= REVISION_HISTORY;
  spec.progressDeadlineSeconds ??= 600;
  defaultPodTemplate(spec.template);
}

export function defaultReplicaSet({ spec }: ReplicaSet): void {
  if (spec === undefined) return;
  spec.replicas ??= 1;
  defaultPodTemplate(spec.template);
}

interface ReplicationController {
  metadata?: ObjectMeta;
  spec?: { replicas?: number; selector?: Record<string, string>; template?: PodTemplateSpec };
}

export function defaultReplicationController({ metadata, spec }: ReplicationController): void {
  if (spec === undefined) return;
  const labels = spec.template?.metadata?.labels;
  if (labels !== undefined) {
    spec.selector ??= { ...labels };
    if (metadata !== undefined) metadata.labels ??= { ...labels };
  }
  spec.replicas ??= 1;
  defaultPodTemplate(spec.template);
}

export function defaultDaemonSet({ spec }: DaemonSet): void {
  if (spec === undefined) return;
  const strategy = (spec.updateStrategy ??= {});
  strategy.type ??= "RollingUpdate";
  if (strategy.type === "RollingUpdate") {
    const rolling = (strategy.rollingUpdate ??= {});
    rolling.maxUnavailable ??= 1;
    rolling.maxSurge ??= 0;
  }
  spec.revisionHistoryLimit ??= REVISION_HISTORY;
  defaultPodTemplate(spec.template);
}

export function defaultStatefulSet({ spec }: StatefulSet): void {
  if (spec === undefined) return;
  spec.podManagementPolicy ??= "OrderedReady";
  const strategy = (spec.updateStrategy ??= {});
  strategy.type ??= "RollingUpdate";
  if (strategy.type === "RollingUpdate") (strategy.rollingUpdate ??= {}).partition ??= 0;
  const retention = (spec.persistentVolumeClaimRetentionPolicy ??= {});
  retention.whenDeleted ??= "Retain";
  retention.whenScaled ??= "Retain";
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= REVISION_HISTORY;
  for (const claim of spec.volumeClaimTemplates ?? []) defaultClaimTemplate(claim);
  defaultPodTemplate(spec.template);
}

function defaultClaimTemplate(claim: PersistentVolumeClaim): void {
  claim.apiVersion = "v1";
  claim.kind = "PersistentVolumeClaim";
  defaultClaimSpec(claim.spec);
  (claim.status ??= {}).phase ??= "Pending";
}
