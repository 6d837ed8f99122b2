/** What a rule of a Role lets somebody do, and whom a binding means (plugin/pkg/auth/authorizer/rbac, pkg/registry/rbac/validation). */
import type { LabelSelector } from "../../generated/kubernetes.ts";
import type { KubeObject } from "./object.ts";

export const RBAC_GROUP = "rbac.authorization.k8s.io";
export const ROLES = `roles.${RBAC_GROUP}`;
export const CLUSTER_ROLES = `clusterroles.${RBAC_GROUP}`;
export const ROLE_BINDINGS = `rolebindings.${RBAC_GROUP}`;
export const CLUSTER_ROLE_BINDINGS = `clusterrolebindings.${RBAC_GROUP}`;

export interface PolicyRule {
  readonly verbs?: readonly string[];
  readonly apiGroups?: readonly string[];
  /** `pods`, `pods/log`, `*`, `*` with a subresource. */
  readonly resources?: readonly string[];
  /** Absent or empty: every name. */
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

/** A Role or a ClusterRole; only the latter may have an `aggregationRule`. */
export interface Role extends KubeObject {
  readonly rules?: readonly PolicyRule[];
  readonly aggregationRule?: { readonly clusterRoleSelectors?: readonly LabelSelector[] };
}

export interface Subject {
  readonly kind: string;
  readonly apiGroup?: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface RoleRef {
  readonly apiGroup: string;
  readonly kind: string;
  readonly name: string;
}

/** A RoleBinding or a ClusterRoleBinding. */
export interface Binding extends KubeObject {
  readonly roleRef: RoleRef;
  readonly subjects?: readonly Subject[];
}

/** `authorization.k8s.io/v1` attributes: of a resource, or of a path that is none. */
export type Attributes =
  | {
      readonly verb: string;
      readonly group: string;
      /** Plural. */
      readonly resource: string;
      readonly subresource: string;
      /** Empty for what belongs to no namespace, or to all. */
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly verb: string; readonly path: string };

const ALL = "*";

function includes(list: readonly string[] | undefined, wanted: string): boolean {
  return list !== undefined && (list.includes(ALL) || list.includes(wanted));
}

/** `rbac.RuleAllows`. */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!includes(rule.verbs, attributes.verb)) return false;
  if ("path" in attributes) {
    return (rule.nonResourceURLs ?? []).some((url) => urlCovers(url, attributes.path));
  }
  const { group, resource, subresource, name } = attributes;
  const names = rule.resourceNames ?? [];
  return (
    includes(rule.apiGroups, group) &&
    resourcesCover(rule.resources ?? [], subresource === "" ? resource : `${resource}/${subresource}`) &&
    (names.length === 0 || names.includes(name))
  );
}

/** Whether a list of resources means this one (`pods` or `pods/log`); `* / log` in one word means every `log`. */
export function resourcesCover(resources: readonly string[], wanted: string): boolean {
  if (includes(resources, wanted)) return true;
  const slash = wanted.indexOf("/");
  return slash >= 0 && resources.includes(`*${wanted.slice(slash)}`);
}

/** Whether a path, which may end with an asterisk, means another. */
export function urlCovers(url: string, wanted: string): boolean {
  if (url === wanted) return true;
  return url.endsWith(ALL) && wanted.startsWith(url.replace(/\*+$/, ""));
}

/** How tokens name a service account (apiserver `serviceaccount.MakeUsername`). */
export function accountUsername(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

/** One text per user or group that a binding can mean; undefined for a subject that means nobody. */
export function subjectKey({ kind, name, namespace }: Subject, bindingNamespace: string): string | undefined {
  if (kind === "User" || kind === "Group") return `${kind} ${name}`;
  const own = (namespace ?? "") === "" ? bindingNamespace : (namespace ?? "");
  return kind === "ServiceAccount" && own !== "" ? `User ${accountUsername(own, name)}` : undefined;
}
