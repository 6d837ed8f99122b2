/** Checks of roles and their bindings (rbac `validation.go`). */
import { type FieldError, invalid, invalidEach, notSupported, required } from "../field-error.ts";
import { checkDns1123Subdomain, checkPathSegment } from "../names.ts";
import type { KubeObject } from "../object.ts";
import { jsonEqual } from "../patch/json.ts";
import { type Binding, type PolicyRule, RBAC_GROUP, type Role, type Subject } from "../rbac.ts";
import { validateLabelSelector } from "./labels.ts";
import type { Unchecked } from "./unchecked.ts";

export function validateRole(object: KubeObject): FieldError[] {
  const { rules = [], aggregationRule, metadata }: Role = object;
  const isNamespaced = (metadata.namespace ?? "") !== "";
  const errors = rules.flatMap((rule, index) =>
    validateRule(rule, { path: `rules[${index}]`, isNamespaced }),
  );
  if (aggregationRule === undefined) return errors;
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  const path = "aggregationRule.clusterRoleSelectors";
  if (selectors.length === 0) {
    errors.push(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"));
  }
  for (const [index, selector] of selectors.entries())
    errors.push(...validateLabelSelector(selector, `${path}[${index}]`));
  return errors;
}

function validateRule(
  rule: PolicyRule,
  { path, isNamespaced }: { readonly path: string; readonly isNamespaced: boolean },
): FieldError[] {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const errors: FieldError[] = [];
  if (verbs.length === 0) errors.push(required(`${path}.verbs`, "verbs must contain at least one value"));
  if (nonResourceURLs.length > 0) {
    const wrong = (why: string) => errors.push(invalid(`${path}.nonResourceURLs`, nonResourceURLs, why));
    if (isNamespaced) wrong("namespaced rules cannot apply to non-resource URLs");
    if (apiGroups.length + resources.length + resourceNames.length > 0)
      wrong("rules cannot apply to both regular resources and non-resource URLs");
    return errors;
  }
  if (apiGroups.length === 0)
    errors.push(required(`${path}.apiGroups`, "resource rules must supply at least one api group"));
  if (resources.length === 0)
    errors.push(required(`${path}.resources`, "resource rules must supply at least one resource"));
  return errors;
}

export function validateBinding(object: KubeObject): FieldError[] {
  const { metadata } = object;
  const { roleRef, subjects = [] } = object as Unchecked<Pick<Binding, "roleRef" | "subjects">>;
  const isNamespaced = (metadata.namespace ?? "") !== "";
  const { apiGroup = "", kind = "", name = "" } = roleRef ?? {};
  const kinds = isNamespaced ? ["Role", "ClusterRole"] : ["ClusterRole"];
  const errors: FieldError[] = [];
  if (apiGroup !== RBAC_GROUP) errors.push(notSupported("roleRef.apiGroup", apiGroup, [RBAC_GROUP]));
  if (!kinds.includes(kind)) errors.push(notSupported("roleRef.kind", kind, kinds));
  if (name === "") errors.push(required("roleRef.name"));
  else errors.push(...invalidEach("roleRef.name", name, checkPathSegment(name)));
  for (const [index, subject] of subjects.entries())
    errors.push(...validateSubject(subject, { path: `subjects[${index}]`, isNamespaced }));
  return errors;
}

function validateSubject(
  { kind = "", apiGroup = "", name = "", namespace = "" }: Unchecked<Subject>,
  { path, isNamespaced }: { readonly path: string; readonly isNamespaced: boolean },
): FieldError[] {
  const errors: FieldError[] = [];
  if (name === "") errors.push(required(`${path}.name`));
  if (kind === "User" || kind === "Group") {
    if (apiGroup !== RBAC_GROUP) errors.push(notSupported(`${path}.apiGroup`, apiGroup, [RBAC_GROUP]));
  } else if (kind === "ServiceAccount") {
    if (name !== "") errors.push(...invalidEach(`${path}.name`, name, checkDns1123Subdomain(name)));
    if (apiGroup !== "") errors.push(notSupported(`${path}.apiGroup`, apiGroup, [""]));
    if (!isNamespaced && namespace === "") errors.push(required(`${path}.namespace`));
  } else errors.push(notSupported(`${path}.kind`, kind, ["ServiceAccount", "User", "Group"]));
  return errors;
}

/** A binding to another role is another binding. */
export function validateBindingUpdate(binding: KubeObject, before: KubeObject): FieldError[] {
  const { roleRef } = binding;
  const kept = jsonEqual(roleRef, before["roleRef"]);
  const errors = validateBinding(binding);
  return kept ? errors : [...errors, invalid("roleRef", roleRef, "cannot change roleRef")];
}
