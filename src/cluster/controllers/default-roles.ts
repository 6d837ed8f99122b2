/** The roles and bindings that users of every cluster count on (`bootstrappolicy/policy.go`), without those of Kubernetes' own parts. */
import { type PolicyRule, RBAC_GROUP } from "../../k8s/rbac.ts";

const READ = ["get", "list", "watch"];
const WRITE = ["create", "delete", "deletecollection", "patch", "update"];
const ALL_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

export interface DefaultRole {
  readonly name: string;
  /** The `aggregate-to-...` label it carries. */
  readonly partOf?: string;
  /** Instead of rules: the label of its parts. */
  readonly madeOf?: string;
  readonly rules: readonly PolicyRule[];
}

/** `deployments` with `deployments/scale` and so on. */
function rule(verbs: readonly string[], apiGroup: string, resources: readonly string[]): PolicyRule {
  return { verbs, apiGroups: [apiGroup], resources };
}

const WORKLOADS = ["deployments", "replicasets", "statefulsets"];
const SCALED = WORKLOADS.flatMap((plural) => [plural, `${plural}/scale`]);
const SHOWN = WORKLOADS.flatMap((plural) => [plural, `${plural}/scale`, `${plural}/status`]);
const STREAMS = ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy"];

const EDIT: readonly PolicyRule[] = [
  rule(READ, "", [...STREAMS, "secrets", "services/proxy"]),
  rule(["impersonate"], "", ["serviceaccounts"]),
  rule(WRITE, "", ["pods", ...STREAMS]),
  rule(["create"], "", ["pods/eviction"]),
  rule(WRITE, "", [
    "configmaps",
    "events",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "secrets",
    "serviceaccounts",
    "services",
    "services/proxy",
  ]),
  rule(["create"], "", ["serviceaccounts/token"]),
  rule(WRITE, "apps", ["daemonsets", "deployments/rollback", ...SCALED]),
  rule(WRITE, "autoscaling", ["horizontalpodautoscalers"]),
  rule(WRITE, "batch", ["cronjobs", "jobs"]),
  rule(WRITE, "policy", ["poddisruptionbudgets"]),
  rule(WRITE, "networking.k8s.io", ["ingresses", "networkpolicies"]),
  rule(ALL_VERBS, "coordination.k8s.io", ["leases"]),
];

const VIEW: readonly PolicyRule[] = [
  rule(READ, "", [
    "configmaps",
    "endpoints",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "pods",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "serviceaccounts",
    "services",
    "services/status",
  ]),
  rule(READ, "", [
    "bindings",
    "events",
    "limitranges",
    "namespaces/status",
    "pods/log",
    "pods/status",
    "replicationcontrollers/status",
    "resourcequotas",
    "resourcequotas/status",
  ]),
  rule(READ, "", ["namespaces"]),
  rule(READ, "discovery.k8s.io", ["endpointslices"]),
  rule(READ, "apps", ["controllerrevisions", "daemonsets", "daemonsets/status", ...SHOWN]),
  rule(READ, "autoscaling", ["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
  rule(READ, "batch", ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
  rule(READ, "policy", ["poddisruptionbudgets", "poddisruptionbudgets/status"]),
  rule(READ, "networking.k8s.io", ["ingresses", "ingresses/status", "networkpolicies"]),
  // What metrics-server brings along, as `system:aggregated-metrics-reader`.
  rule(READ, "metrics.k8s.io", ["nodes", "pods"]),
];

const ADMIN: readonly PolicyRule[] = [
  rule(["create"], "authorization.k8s.io", ["localsubjectaccessreviews"]),
  rule(ALL_VERBS, RBAC_GROUP, ["rolebindings", "roles"]),
];

const INFO = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
const DISCOVERY = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];
const ISSUER = "/.well-known/openid-configuration";
const KEYS = "/openid/v1/jwks";

function paths(...nonResourceURLs: readonly string[]): PolicyRule {
  return { verbs: ["get"], nonResourceURLs };
}

export const DEFAULT_ROLES: readonly DefaultRole[] = [
  {
    name: "cluster-admin",
    rules: [
      { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
      { verbs: ["*"], nonResourceURLs: ["*"] },
    ],
  },
  { name: "admin", madeOf: "admin", rules: [] },
  { name: "edit", madeOf: "edit", partOf: "admin", rules: [] },
  { name: "view", madeOf: "view", partOf: "edit", rules: [] },
  { name: "system:aggregate-to-admin", partOf: "admin", rules: ADMIN },
  { name: "system:aggregate-to-edit", partOf: "edit", rules: EDIT },
  { name: "system:aggregate-to-view", partOf: "view", rules: VIEW },
  { name: "system:discovery", rules: [paths(...[...DISCOVERY, ...INFO].sort())] },
  {
    name: "system:basic-user",
    rules: [
      rule(["create"], "authorization.k8s.io", ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
      rule(["create"], "authentication.k8s.io", ["selfsubjectreviews"]),
    ],
  },
  { name: "system:public-info-viewer", rules: [paths(...INFO)] },
  {
    name: "system:service-account-issuer-discovery",
    rules: [paths(ISSUER, `${ISSUER}/`, KEYS, `${KEYS}/`)],
  },
];

/** By the role they give: the groups that have it. */
export const DEFAULT_BINDINGS: Readonly<Record<string, readonly string[]>> = {
  "cluster-admin": ["system:masters"],
  "system:discovery": ["system:authenticated"],
  "system:basic-user": ["system:authenticated"],
  "system:public-info-viewer": ["system:authenticated", "system:unauthenticated"],
  "system:service-account-issuer-discovery": ["system:serviceaccounts"],
};
