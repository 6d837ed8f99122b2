/** Makes the default roles and bindings, and at every start gives back what they lost (rbac `reconciliation`). */
import type { KubeObject, ObjectMeta } from "../../k8s/object.ts";
import { jsonEqual } from "../../k8s/patch/json.ts";
import {
  type Binding,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  RBAC_GROUP,
  type Role,
  type Subject,
} from "../../k8s/rbac.ts";
import { aggregatedRules, isAggregated } from "../../k8s/rbac-aggregation.ts";
import { missingRights } from "../../k8s/rbac-coverage.ts";
import type { Store } from "../store/store.ts";
import { DEFAULT_BINDINGS, DEFAULT_ROLES, type DefaultRole } from "./default-roles.ts";

/** What is written with this set to "false" is its owner's from then on. */
const AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate";
const LABELS = { "kubernetes.io/bootstrapping": "rbac-defaults" };

/** Adds what is missing; what somebody has added stays. Safe to repeat. */
export function seedRoles(store: Store): void {
  for (const role of DEFAULT_ROLES) ensure(store, CLUSTER_ROLES, { wanted: roleObject(role), reconcile });
  for (const [name, groups] of Object.entries(DEFAULT_BINDINGS)) {
    const wanted = bindingObject(name, groups);
    ensure(store, CLUSTER_ROLE_BINDINGS, { wanted, reconcile: reconcileBinding });
  }
  // The parts first, then what is made of them: the controller would do the same a moment later.
  for (const { name } of DEFAULT_ROLES.toReversed()) aggregate(store, name);
}

interface Ensured<T extends KubeObject> {
  readonly wanted: T;
  readonly reconcile: (current: KubeObject, wanted: T) => KubeObject;
}

function ensure<T extends KubeObject>(
  store: Store,
  resource: string,
  { wanted, reconcile: combine }: Ensured<T>,
): void {
  const at = { namespace: "", name: wanted.metadata.name ?? "" };
  const current = store.get(resource, at);
  if (current === undefined) store.create(resource, wanted);
  else if (current.metadata.annotations?.[AUTO_UPDATE] === "false") return;
  else if (current["roleRef"] !== undefined && !jsonEqual(current["roleRef"], wanted["roleRef"])) {
    // What a binding gives cannot be changed.
    store.delete(resource, at);
    store.create(resource, wanted);
  } else store.update(resource, at, (now) => combine(now, wanted));
}

function reconcile(current: Role, wanted: Role): Role {
  const metadata = withMetadata(current.metadata, wanted.metadata);
  const { aggregationRule, rules = [] } = current;
  if (wanted.aggregationRule !== undefined) {
    const selectors = aggregationRule?.clusterRoleSelectors ?? [];
    const missing = (wanted.aggregationRule.clusterRoleSelectors ?? []).filter(
      (selector) => !selectors.some((one) => jsonEqual(one, selector)),
    );
    if (missing.length === 0) return { ...current, metadata };
    return { ...current, metadata, aggregationRule: { clusterRoleSelectors: [...selectors, ...missing] } };
  }
  return { ...current, metadata, rules: [...rules, ...missingRights(rules, wanted.rules ?? [])] };
}

function reconcileBinding(current: KubeObject, wanted: Binding): KubeObject {
  const { subjects = [] } = current as Binding;
  const missing = (wanted.subjects ?? []).filter(
    (subject) => !subjects.some((one) => jsonEqual(one, subject)),
  );
  const metadata = withMetadata(current.metadata, wanted.metadata);
  return { ...current, metadata, subjects: [...subjects, ...missing] };
}

/** What is given wins over what is wanted. */
function withMetadata(current: ObjectMeta, wanted: ObjectMeta): ObjectMeta {
  return {
    ...current,
    labels: { ...wanted.labels, ...current.labels },
    annotations: { ...wanted.annotations, ...current.annotations },
  };
}

function aggregate(store: Store, name: string): void {
  const at = { namespace: "", name };
  const role: Role | undefined = store.get(CLUSTER_ROLES, at);
  if (role === undefined || !isAggregated(role)) return;
  const rules = aggregatedRules(role, store.list(CLUSTER_ROLES).items);
  store.update(CLUSTER_ROLES, at, (current) => ({ ...current, rules }));
}

function aggregationLabel(role: string): Record<string, string> {
  return { [`${RBAC_GROUP}/aggregate-to-${role}`]: "true" };
}

function defaultMetadata(name: string): ObjectMeta {
  return { name, labels: LABELS, annotations: { [AUTO_UPDATE]: "true" } };
}

function roleObject({ name, partOf, madeOf, rules }: DefaultRole): Role {
  const metadata = defaultMetadata(name);
  const labels = partOf === undefined ? LABELS : { ...LABELS, ...aggregationLabel(partOf) };
  const selectors = madeOf === undefined ? [] : [{ matchLabels: aggregationLabel(madeOf) }];
  return {
    apiVersion: `${RBAC_GROUP}/v1`,
    kind: "ClusterRole",
    metadata: { ...metadata, labels },
    ...(madeOf === undefined ? {} : { aggregationRule: { clusterRoleSelectors: selectors } }),
    rules,
  };
}

function bindingObject(name: string, groups: readonly string[]): Binding {
  const subjects = groups.map((group): Subject => ({ kind: "Group", apiGroup: RBAC_GROUP, name: group }));
  return {
    apiVersion: `${RBAC_GROUP}/v1`,
    kind: "ClusterRoleBinding",
    metadata: defaultMetadata(name),
    roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name },
    subjects,
  };
}
