/** Nobody grants what they do not have: the check on writes of roles and bindings (pkg/registry/rbac `policybased`). */
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { goQuote } from "../../k8s/go-format.ts";
import { jsonEqual } from "../../k8s/patch/json.ts";
import {
  type Binding,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  type PolicyRule,
  RBAC_GROUP,
  type Role,
  ROLE_BINDINGS,
  ROLES,
} from "../../k8s/rbac.ts";
import { isAggregated } from "../../k8s/rbac-aggregation.ts";
import { compactRules, describeRule, missingRights, quotedList } from "../../k8s/rbac-coverage.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { forbidden } from "../store/api-errors.ts";
import type { Admit } from "./api-context.ts";
import { type Authorizer, isAdministrator, missingRole } from "./authorizer.ts";
import type { User } from "./exchange.ts";

interface Write {
  readonly resource: GroupResource;
  readonly object: KubeObject;
  readonly user: User;
}

/** Throws `Forbidden` for a role or binding that gives more than its writer has, unless they may `escalate` or `bind`. */
export function refuseEscalation(authorizer: Authorizer): Admit {
  return ({ info, object, before, user }) => {
    if (info.group !== RBAC_GROUP || user === undefined || isAdministrator(user)) return object;
    if (before !== undefined && isOnlyForCollector(object, before)) return object;
    const write = { resource: info.groupResource, object, user };
    if (write.resource === ROLES || write.resource === CLUSTER_ROLES) checkRole(write, authorizer);
    if (write.resource === ROLE_BINDINGS || write.resource === CLUSTER_ROLE_BINDINGS)
      checkBinding(write, authorizer);
    return object;
  };
}

/** `IsOnlyMutatingGCFields`. */
function isOnlyForCollector(object: KubeObject, before: KubeObject): boolean {
  const rest = ({ metadata, ...fields }: KubeObject) => {
    const { ownerReferences: _, finalizers: __, managedFields: ___, ...kept } = metadata;
    return { ...fields, metadata: kept };
  };
  return jsonEqual(rest(object), rest(before));
}

const CLUSTER_ADMIN: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

function checkRole(write: Write, authorizer: Authorizer): void {
  const role: Role = write.object;
  const { name = "", namespace = "" } = role.metadata;
  const resource = write.resource === ROLES ? "roles" : "clusterroles";
  const attributes = {
    verb: "escalate",
    group: RBAC_GROUP,
    resource,
    subresource: "",
    namespace,
    name,
  };
  if (authorizer.decide(write.user, attributes).allowed) return;
  const why = missingGrant(write.user, { rules: role.rules ?? [], namespace }, authorizer);
  if (why !== undefined) throw forbidden(write.resource, name, { why });
  if (!isAggregated(role)) return;
  // It can gather anything.
  if (missingGrant(write.user, { rules: CLUSTER_ADMIN, namespace: "" }, authorizer) === undefined) return;
  throw forbidden(write.resource, name, {
    why: "must have cluster-admin privileges to use an aggregationRule",
  });
}

function checkBinding(write: Write, authorizer: Authorizer): void {
  const { roleRef } = write.object as Partial<Binding>;
  const { name = "", namespace = "" } = write.object.metadata;
  // Validation says what is wrong with it.
  if (roleRef === undefined) return;
  const attributes = {
    verb: "bind",
    group: roleRef.apiGroup,
    resource: roleRef.kind === "ClusterRole" ? "clusterroles" : "roles",
    subresource: "",
    namespace,
    name: roleRef.name,
  };
  if (authorizer.decide(write.user, attributes).allowed) return;
  const rules = authorizer.rulesOf(roleRef, namespace);
  if (rules === undefined) {
    const kind = attributes.resource;
    throw new StatusError("NotFound", missingRole(roleRef), { name: roleRef.name, group: RBAC_GROUP, kind });
  }
  const why = missingGrant(write.user, { rules, namespace }, authorizer);
  if (why !== undefined) throw forbidden(write.resource, name, { why });
}

interface Wanted {
  readonly rules: readonly PolicyRule[];
  /** Empty: everywhere. */
  readonly namespace: string;
}

/** `ConfirmNoEscalation`: what the user lacks, as the real server tells it; undefined when nothing. */
function missingGrant(user: User, wanted: Wanted, authorizer: Authorizer): string | undefined {
  const { rules, errors } = authorizer.rulesFor(user, wanted.namespace);
  const missing = missingRights(rules, wanted.rules);
  if (missing.length === 0) return undefined;
  const lines = [...new Set(compactRules(missing).map(describeRule))].sort();
  const who = `user ${goQuote(user.username)} (groups=${quotedList(user.groups)})`;
  const unresolved = errors.length === 0 ? "" : `; resolution errors: [${errors.join(" ")}]`;
  return `${who} is attempting to grant RBAC permissions not currently held:\n${lines.join("\n")}${unresolved}`;
}
