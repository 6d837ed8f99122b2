/** Which checks belong to which kind. A kind without any has only its metadata checked. */
import type { FieldError } from "../field-error.ts";
import { checkDns1035Label, checkDns1123Label, checkPathSegment, type NameCheck } from "../names.ts";
import { validateDefinition, validateDefinitionUpdate } from "../custom/validate-definition.ts";
import type { KubeObject } from "../object.ts";
import { validateAutoscaler } from "./autoscaler.ts";
import {
  validateConfigMap,
  validateConfigMapUpdate,
  validateSecret,
  validateSecretUpdate,
} from "./configuration.ts";
import { validateControllerRevision, validateControllerRevisionUpdate } from "./controller-revision.ts";
import { validateCronJob, validateCronJobUpdate } from "./cron-jobs.ts";
import { validateDaemonSet, validateDaemonSetUpdate } from "./daemon-set.ts";
import { validateDeployment, validateDeploymentUpdate } from "./deployment.ts";
import { validateDisruptionBudget } from "./disruption-budget.ts";
import { validateEndpoints, validateEndpointSlice, validateEndpointSliceUpdate } from "./endpoints.ts";
import {
  validateIngress,
  validateIngressClass,
  validateIngressClassUpdate,
  validateIngressUpdate,
} from "./ingress.ts";
import { validateJobUpdate } from "./job-changes.ts";
import { validateJob } from "./jobs.ts";
import { validateLease } from "./lease.ts";
import { validateNetworkPolicy } from "./network-policy.ts";
import { validatePod, validatePodUpdate } from "./pod.ts";
import { validatePriorityClass, validatePriorityClassUpdate } from "./priority-class.ts";
import { validateLimitRange, validateQuota, validateQuotaUpdate } from "./quotas.ts";
import { validateBinding, validateBindingUpdate, validateRole } from "./rbac.ts";
import {
  validateReplicaSet,
  validateReplicaSetUpdate,
  validateReplicationController,
} from "./replica-set.ts";
import { validateService, validateServiceUpdate } from "./service.ts";
import { validateStatefulSet, validateStatefulSetUpdate } from "./stateful-set.ts";
import {
  validateClaim,
  validateClaimUpdate,
  validateStorageClass,
  validateStorageClassUpdate,
  validateVolume,
} from "./storage.ts";
import { validateTemplate } from "./workloads.ts";
import { validateWebhookConfiguration } from "./webhooks.ts";

export interface Rules {
  /** Absent: a DNS subdomain. */
  readonly checkName?: NameCheck;
  readonly create?: (object: KubeObject) => FieldError[];
  /** Absent: what holds for a new object holds for a changed one. */
  readonly update?: (object: KubeObject, before: KubeObject) => FieldError[];
}

const role: Rules = { checkName: checkPathSegment, create: validateRole };
const binding: Rules = {
  checkName: checkPathSegment,
  create: validateBinding,
  update: validateBindingUpdate,
};

/** By `apiVersion kind`. */
const RULES: ReadonlyMap<string, Rules> = new Map(
  Object.entries<Rules>({
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
    "v1 Endpoints": { create: validateEndpoints },
    "v1 ResourceQuota": { create: validateQuota, update: validateQuotaUpdate },
    "v1 LimitRange": { create: validateLimitRange },
    "v1 Namespace": { checkName: checkDns1123Label },
    "v1 PodTemplate": {
      create: ({ template }) => validateTemplate(template ?? {}, "template"),
    },
    "v1 ReplicationController": { create: validateReplicationController },
    "apps/v1 Deployment": { create: validateDeployment, update: validateDeploymentUpdate },
    "apps/v1 ReplicaSet": { create: validateReplicaSet, update: validateReplicaSetUpdate },
    "apps/v1 StatefulSet": {
      checkName: checkDns1123Label,
      create: validateStatefulSet,
      update: validateStatefulSetUpdate,
    },
    "apps/v1 DaemonSet": { create: validateDaemonSet, update: validateDaemonSetUpdate },
    "apps/v1 ControllerRevision": {
      create: validateControllerRevision,
      update: validateControllerRevisionUpdate,
    },
    "batch/v1 Job": { create: validateJob, update: validateJobUpdate },
    "batch/v1 CronJob": { create: validateCronJob, update: validateCronJobUpdate },
    "policy/v1 PodDisruptionBudget": { create: validateDisruptionBudget },
    "discovery.k8s.io/v1 EndpointSlice": {
      create: validateEndpointSlice,
      update: validateEndpointSliceUpdate,
    },
    "autoscaling/v2 HorizontalPodAutoscaler": { create: validateAutoscaler },
    "networking.k8s.io/v1 Ingress": { create: validateIngress, update: validateIngressUpdate },
    "networking.k8s.io/v1 IngressClass": {
      create: validateIngressClass,
      update: validateIngressClassUpdate,
    },
    "networking.k8s.io/v1 NetworkPolicy": { create: validateNetworkPolicy },
    "scheduling.k8s.io/v1 PriorityClass": {
      create: validatePriorityClass,
      update: validatePriorityClassUpdate,
    },
    "coordination.k8s.io/v1 Lease": { create: validateLease },
    "apiextensions.k8s.io/v1 CustomResourceDefinition": {
      create: validateDefinition,
      update: validateDefinitionUpdate,
    },
    "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration": { create: validateWebhookConfiguration },
    "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration": {
      create: validateWebhookConfiguration,
    },
    "rbac.authorization.k8s.io/v1 Role": role,
    "rbac.authorization.k8s.io/v1 ClusterRole": role,
    "rbac.authorization.k8s.io/v1 RoleBinding": binding,
    "rbac.authorization.k8s.io/v1 ClusterRoleBinding": binding,
  }),
);

export function rulesOf({ apiVersion, kind }: KubeObject): Rules {
  return RULES.get(`${apiVersion} ${kind}`) ?? {};
}
