/** Defaults of roles' bindings, webhooks, priorities and autoscalers. */

const RBAC = "rbac.authorization.k8s.io";

interface Binding {
  roleRef?: { apiGroup?: string };
  subjects?: { kind: string; apiGroup?: string }[];
}

interface Autoscaler {
  spec?: {
    minReplicas?: number;
    metrics?: object[];
    behavior?: { scaleUp?: object; scaleDown?: object };
  };
}

interface WebhookConfiguration {
  webhooks?: {
    clientConfig?: { service?: { port?: number } };
    failurePolicy?: string;
    matchPolicy?: string;
    namespaceSelector?: object;
    objectSelector?: object;
    timeoutSeconds?: number;
    reinvocationPolicy?: string;
    rules?: { scope?: string }[];
  }[];
}

function defaultBinding(binding: Binding): void {
  if (binding.roleRef !== undefined) binding.roleRef.apiGroup ||= RBAC;
  for (const subject of binding.subjects ?? []) {
    if (subject.kind === "User" || subject.kind === "Group") subject.apiGroup ??= RBAC;
  }
}

function defaultAutoscaler({ spec }: Autoscaler): void {
  if (spec === undefined) return;
  spec.minReplicas ??= 1;
  const utilization = { type: "Utilization", averageUtilization: 80 };
  spec.metrics ??= [{ type: "Resource", resource: { name: "cpu", target: utilization } }];
  const { scaleUp, scaleDown } = spec.behavior ?? {};
  if (spec.behavior === undefined) return;
  const up = {
    stabilizationWindowSeconds: 0,
    selectPolicy: "Max",
    policies: [
      { type: "Pods", value: 4, periodSeconds: 15 },
      { type: "Percent", value: 100, periodSeconds: 15 },
    ],
  };
  const down = { selectPolicy: "Max", policies: [{ type: "Percent", value: 100, periodSeconds: 15 }] };
  spec.behavior.scaleUp = { ...up, ...scaleUp };
  spec.behavior.scaleDown = { ...down, ...scaleDown };
}

function defaultWebhooks(configuration: WebhookConfiguration): void {
  for (const webhook of configuration.webhooks ?? []) {
    webhook.failurePolicy ??= "Fail";
    webhook.matchPolicy ??= "Equivalent";
    webhook.namespaceSelector ??= {};
    webhook.objectSelector ??= {};
    webhook.timeoutSeconds ??= 10;
    if (webhook.clientConfig?.service !== undefined) webhook.clientConfig.service.port ??= 443;
    for (const rule of webhook.rules ?? []) rule.scope ??= "*";
  }
}

/** By `apiVersion kind`. */
export const defaultAccess: Readonly<Record<string, (draft: Record<string, unknown>) => void>> = {
  [`${RBAC}/v1 RoleBinding`]: defaultBinding,
  [`${RBAC}/v1 ClusterRoleBinding`]: defaultBinding,
  "autoscaling/v2 HorizontalPodAutoscaler": defaultAutoscaler,
  "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration": defaultWebhooks,
  "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration": (draft) => {
    const configuration = draft as WebhookConfiguration;
    defaultWebhooks(configuration);
    for (const webhook of configuration.webhooks ?? []) webhook.reinvocationPolicy ??= "Never";
  },
  "scheduling.k8s.io/v1 PriorityClass": (draft) => {
    draft["preemptionPolicy"] ??= "PreemptLowerPriority";
  },
};
