/** Answers who may do what from the Roles and bindings in the store (plugin/pkg/auth/authorizer/rbac), indexed as they change. */
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import {
  type Attributes,
  type Binding,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  type PolicyRule,
  RBAC_GROUP,
  type Role,
  ROLE_BINDINGS,
  ROLES,
  type RoleRef,
  ruleAllows,
  type Subject,
  subjectKey,
} from "../../k8s/rbac.ts";
import { goQuote } from "../../k8s/go-format.ts";
import type { Store } from "../store/store.ts";
import type { User } from "./exchange.ts";

export type Asker = Pick<User, "username" | "groups">;

export interface Decision {
  readonly allowed: boolean;
  /** Which binding allows it, or which role could not be found; empty where there is nothing to say. */
  readonly reason: string;
}

export interface HeldRules {
  readonly rules: readonly PolicyRule[];
  /** Roles that are bound but not there. */
  readonly errors: readonly string[];
}

export interface Authorizer {
  decide(user: Asker, attributes: Attributes): Decision;
  /** Everything the user may do in a namespace; the empty one: what holds everywhere. */
  rulesFor(user: Asker, namespace: string): HeldRules;
  /** The rules behind a reference; undefined when the role is not there. */
  rulesOf(reference: Pick<RoleRef, "kind" | "name">, namespace: string): readonly PolicyRule[] | undefined;
  /** Ends its watches. */
  stop(): void;
}

/** Members may do everything, whatever the bindings say. */
export function isAdministrator({ groups }: Pick<User, "groups">): boolean {
  return groups.includes("system:masters");
}

const EVERYTHING: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/** Sees a write as soon as the store's call has returned. */
export function openAuthorizer(store: Store): Authorizer {
  return new RoleAuthorizer(store);
}

/** One subject of one binding. */
interface Grant {
  readonly binding: Binding;
  readonly subject: Subject;
}

type Grants = Map<string, Grant[]>;

class RoleAuthorizer implements Authorizer {
  /** By namespace and name; cluster roles have no namespace. */
  readonly #roles = new Map<string, readonly PolicyRule[]>();
  /** By the binding's namespace, empty for cluster role bindings, then by subject. */
  readonly #grants = new Map<string, Grants>();
  readonly #unwatch: readonly (() => void)[];

  constructor(store: Store) {
    const watch = (resource: GroupResource, take: (object: KubeObject, isThere: boolean) => void) =>
      store.watch(resource, {}, ({ type, object }) => {
        if (type !== "BOOKMARK") take(object, type !== "DELETED");
      });
    const takeRole = (role: Role, isThere: boolean) => {
      const key = roleKey(role.metadata.namespace ?? "", role.metadata.name ?? "");
      if (isThere) this.#roles.set(key, role.rules ?? []);
      else this.#roles.delete(key);
    };
    const takeBinding = (object: KubeObject, isThere: boolean) => {
      this.#forget(object);
      // What is in the store has been validated, so that a binding has a reference.
      if (isThere) this.#learn(object as Binding);
    };
    this.#unwatch = [
      watch(ROLES, takeRole),
      watch(CLUSTER_ROLES, takeRole),
      watch(ROLE_BINDINGS, takeBinding),
      watch(CLUSTER_ROLE_BINDINGS, takeBinding),
    ];
  }

  stop(): void {
    for (const unwatch of this.#unwatch) unwatch();
  }

  decide(user: Asker, attributes: Attributes): Decision {
    if (isAdministrator(user)) return { allowed: true, reason: "" };
    const errors = new Set<string>();
    const namespace = "path" in attributes ? "" : attributes.namespace;
    for (const grant of this.#grantsOf(user, namespace)) {
      const rules = this.#rulesBehind(grant.binding, errors);
      if (rules.some((rule) => ruleAllows(rule, attributes))) {
        return { allowed: true, reason: `RBAC: allowed by ${describeGrant(grant)}` };
      }
    }
    return { allowed: false, reason: errors.size === 0 ? "" : `RBAC: ${aggregate([...errors])}` };
  }

  rulesFor(user: Asker, namespace: string): HeldRules {
    const errors = new Set<string>();
    const rules = new Set<PolicyRule>(isAdministrator(user) ? EVERYTHING : []);
    for (const { binding } of this.#grantsOf(user, namespace)) {
      for (const rule of this.#rulesBehind(binding, errors)) rules.add(rule);
    }
    return { rules: [...rules], errors: [...errors] };
  }

  rulesOf(
    { kind, name }: Pick<RoleRef, "kind" | "name">,
    namespace: string,
  ): readonly PolicyRule[] | undefined {
    return this.#roles.get(roleKey(kind === "ClusterRole" ? "" : namespace, name));
  }

  /** Those of the cluster first, as upstream visits them. */
  *#grantsOf({ username, groups }: Asker, namespace: string): Generator<Grant> {
    const keys = [`User ${username}`, ...groups.map((group) => `Group ${group}`)];
    for (const place of namespace === "" ? [""] : ["", namespace]) {
      const grants = this.#grants.get(place);
      if (grants === undefined) continue;
      for (const key of keys) yield* grants.get(key) ?? [];
    }
  }

  #rulesBehind({ roleRef, metadata }: Binding, errors: Set<string>): readonly PolicyRule[] {
    const rules = this.rulesOf(roleRef, metadata.namespace ?? "");
    if (rules === undefined) errors.add(missingRole(roleRef));
    return rules ?? [];
  }

  #learn(binding: Binding): void {
    const namespace = binding.metadata.namespace ?? "";
    const place = this.#grants.get(namespace) ?? new Map<string, Grant[]>();
    this.#grants.set(namespace, place);
    for (const subject of binding.subjects ?? []) {
      const key = subjectKey(subject, namespace);
      if (key === undefined) continue;
      const grants = place.get(key);
      if (grants === undefined) place.set(key, [{ binding, subject }]);
      else grants.push({ binding, subject });
    }
  }

  #forget({ metadata: { namespace = "", name } }: KubeObject): void {
    const place = this.#grants.get(namespace) ?? new Map<string, Grant[]>();
    for (const [key, grants] of place) {
      const rest = grants.filter(({ binding }) => binding.metadata.name !== name);
      if (rest.length === 0) place.delete(key);
      else if (rest.length < grants.length) place.set(key, rest);
    }
    if (place.size === 0) this.#grants.delete(namespace);
  }
}

function roleKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** As client-go's listers say it. */
export function missingRole({ kind, name }: Pick<RoleRef, "kind" | "name">): string {
  return `${kind.toLowerCase()}.${RBAC_GROUP} ${goQuote(name)} not found`;
}

/** Go's `utilerrors.NewAggregate`. */
function aggregate(errors: readonly string[]): string {
  return errors.length === 1 ? (errors[0] ?? "") : `[${errors.join(", ")}]`;
}

function describeGrant({ binding, subject }: Grant): string {
  const { namespace = "", name = "" } = binding.metadata;
  const { roleRef } = binding;
  const kind = namespace === "" ? "ClusterRoleBinding" : "RoleBinding";
  const where = namespace === "" ? name : `${name}/${namespace}`;
  const who =
    subject.kind === "ServiceAccount"
      ? `${subject.name}/${(subject.namespace ?? "") === "" ? namespace : (subject.namespace ?? "")}`
      : subject.name;
  const role = `${roleRef.kind} ${goQuote(roleRef.name)}`;
  return `${kind} ${goQuote(where)} of ${role} to ${subject.kind} ${goQuote(who)}`;
}
