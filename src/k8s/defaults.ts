/** What the API server fills in before it validates and stores an object, so that apply and diff show no drift. */
import type { CronJob, PodTemplateSpec } from "../../generated/kubernetes.ts";
import { defaultAccess } from "./defaults/access.ts";
import { defaultCronJob, defaultJob } from "./defaults/batch.ts";
import { defaultConfiguration } from "./defaults/configuration.ts";
import { defaultNetwork } from "./defaults/network.ts";
import { defaultPod, defaultPodTemplate } from "./defaults/pod.ts";
import { defaultStorage } from "./defaults/storage.ts";
import {
  defaultDaemonSet,
  defaultDeployment,
  defaultReplicaSet,
  defaultReplicationController,
  defaultStatefulSet,
} from "./defaults/workloads.ts";
import { defaultDefinition } from "./custom/default-definition.ts";
import { normalizeObject } from "./normalize.ts";
import type { KubeObject } from "./object.ts";
import { schemaOf } from "./schema.ts";

/** Fills the draft in place. The draft is a private copy in normal form. */
type Defaulter = (draft: Record<string, unknown>) => void;

/** By `apiVersion kind`. */
const DEFAULTERS: ReadonlyMap<string, Defaulter> = new Map<string, Defaulter>([
  ["v1 Pod", defaultPod],
  ["v1 PodTemplate", (draft) => defaultPodTemplate(draft["template"] as PodTemplateSpec | undefined)],
  ["v1 ReplicationController", defaultReplicationController],
  ["apps/v1 Deployment", defaultDeployment],
  ["apps/v1 ReplicaSet", defaultReplicaSet],
  ["apps/v1 StatefulSet", defaultStatefulSet],
  ["apps/v1 DaemonSet", defaultDaemonSet],
  ["batch/v1 Job", defaultJob],
  ["batch/v1 CronJob", (draft) => defaultCronJob(draft as unknown as CronJob)],
  ["apiextensions.k8s.io/v1 CustomResourceDefinition", defaultDefinition],
  ...Object.entries({ ...defaultNetwork, ...defaultConfiguration, ...defaultStorage, ...defaultAccess }),
]);

/**
 * The object in normal form with its kind's defaults (`v1/defaults.go` of each API group, Kubernetes 1.36). Idempotent.
 * Kinds that are not built in come back as they are. The argument is not changed.
 */
export function applyDefaults(object: KubeObject): KubeObject {
  const schema = schemaOf(object.apiVersion, object.kind);
  if (schema === undefined) return object;
  const draft = normalizeObject(object, schema);
  DEFAULTERS.get(`${object.apiVersion} ${object.kind}`)?.(draft);
  return draft as unknown as KubeObject;
}
