/** What the API server refuses to store although every field has its type: `Invalid`, with every mistake at once. */
import type { Deployment } from "../../generated/kubernetes.ts";
import { type FieldError, invalid, invalidObject } from "./field-error.ts";
import { checkDns1035Label, checkDns1123Label, checkDns1123Subdomain, type NameCheck } from "./names.ts";
import type { KubeObject } from "./object.ts";
import {
  validateConfigMap,
  validateConfigMapUpdate,
  validateSecret,
  validateSecretUpdate,
} from "./validation/configuration.ts";
import { validateCronJob, validateCronJobUpdate } from "./validation/cron-jobs.ts";
import { validateDaemonSet, validateDaemonSetUpdate } from "./validation/daemon-set.ts";
import { validateJobUpdate } from "./validation/job-changes.ts";
import { validateJob } from "./validation/jobs.ts";
import { validateMetadata, validateMetadataUpdate } from "./validation/metadata.ts";
import { validateEphemeralContainersUpdate, validatePod, validatePodUpdate } from "./validation/pod.ts";
import { checkPathSegment, validateBinding, validateBindingUpdate, validateRole } from "./validation/rbac.ts";
import { validateStrategy } from "./validation/rollout.ts";
import { validateService, validateServiceUpdate } from "./validation/service.ts";
import { validateStatefulSet, validateStatefulSetUpdate } from "./validation/stateful-set.ts";
import {
  validateClaim,
  validateClaimUpdate,
  validateStorageClass,
  validateStorageClassUpdate,
  validateVolume,
} from "./validation/storage.ts";
import { validateReplicated, validateReplicatedUpdate, validateTemplate } from "./validation/workloads.ts";

interface Rules {
  readonly checkName?: NameCheck;
  readonly create?: (object: KubeObject) => FieldError[];
  /** Absent: what holds for a new object holds for a changed one. */
  readonly update?: (object: KubeObject, before: KubeObject) => FieldError[];
}

const replicated: Rules = {
  create: (object) => validateReplicated(object),
  update: (object, before) => validateReplicatedUpdate(object, before),
};
function validateDeployment({ spec }: Deployment, errors: FieldError[]): FieldError[] {
  const { progressDeadlineSeconds: deadline = 600, minReadySeconds = 0 } = spec ?? {};
  const late =
    deadline <= minReadySeconds
      ? [invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")]
      : [];
  return [...errors, ...validateStrategy(spec?.strategy ?? {}), ...late];
}

const role: Rules = { checkName: checkPathSegment, create: validateRole };
const binding: Rules = {
  checkName: checkPathSegment,
  create: validateBinding,
  update: validateBindingUpdate,
};

/** By `apiVersion kind`. */
const RULES: Readonly<Record<string, Rules>> = {
  "v1 Pod": {
    create: validatePod,
    update: validatePodUpdate,
  },
  "v1 ConfigMap": {
    create: validateConfigMap,
    update: validateConfigMapUpdate,
  },
  "v1 Secret": {
    create: validateSecret,
    update: validateSecretUpdate,
  },
  "v1 PersistentVolumeClaim": { create: validateClaim, update: validateClaimUpdate },
  "v1 PersistentVolume": { create: validateVolume },
  "storage.k8s.io/v1 StorageClass": { create: validateStorageClass, update: validateStorageClassUpdate },
  "v1 Service": {
    checkName: checkDns1035Label,
    create: validateService,
    update: validateServiceUpdate,
  },
  "v1 Namespace": { checkName: checkDns1123Label },
  "v1 PodTemplate": {
    create: ({ template }) => validateTemplate(template ?? {}, "template"),
  },
  "apps/v1 Deployment": {
    create: (object) => validateDeployment(object, validateReplicated(object)),
    update: (object, before) => validateDeployment(object, validateReplicatedUpdate(object, before)),
  },
  "apps/v1 ReplicaSet": replicated,
  "apps/v1 StatefulSet": { create: validateStatefulSet, update: validateStatefulSetUpdate },
  "apps/v1 DaemonSet": { create: validateDaemonSet, update: validateDaemonSetUpdate },
  "batch/v1 Job": { create: validateJob, update: validateJobUpdate },
  "batch/v1 CronJob": { create: validateCronJob, update: validateCronJobUpdate },
  "rbac.authorization.k8s.io/v1 Role": role,
  "rbac.authorization.k8s.io/v1 ClusterRole": role,
  "rbac.authorization.k8s.io/v1 RoleBinding": binding,
  "rbac.authorization.k8s.io/v1 ClusterRoleBinding": binding,
};

function rulesOf({ apiVersion, kind }: KubeObject): Rules {
  const key = `${apiVersion} ${kind}`;
  return Object.hasOwn(RULES, key) ? (RULES[key] ?? {}) : {};
}

function refuse({ apiVersion, kind, metadata }: KubeObject, errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  const slash = apiVersion.indexOf("/");
  const group = slash < 0 ? "" : apiVersion.slice(0, slash);
  throw invalidObject({ group, kind, name: metadata.name ?? "" }, errors);
}

/** For a new object, defaulted, with its name and namespace. Throws StatusError `Invalid`. */
export function refuseInvalidNew(object: KubeObject, { namespaced }: { readonly namespaced: boolean }): void {
  const { checkName = checkDns1123Subdomain, create } = rulesOf(object);
  refuse(object, [
    ...validateMetadata(object.metadata, { namespaced, checkName }),
    ...(create?.(object) ?? []),
  ]);
}

/** For the change of a stored object, not of its status. Throws StatusError `Invalid`. */
export function refuseInvalidChange(object: KubeObject, before: KubeObject): void {
  const { create, update } = rulesOf(object);
  const own = update === undefined ? create?.(object) : update(object, before);
  refuse(object, [...validateMetadataUpdate(object.metadata, before.metadata), ...(own ?? [])]);
}

/** For writes to a status: the metadata may change with it. */
export function refuseInvalidStatus(object: KubeObject, before: KubeObject): void {
  refuse(object, validateMetadataUpdate(object.metadata, before.metadata));
}

/** For `pods/ephemeralcontainers`. */
export function refuseInvalidEphemeralContainers(pod: KubeObject, before: KubeObject): void {
  const errors = validateMetadataUpdate(pod.metadata, before.metadata);
  refuse(pod, [...errors, ...validateEphemeralContainersUpdate(pod, before)]);
}
