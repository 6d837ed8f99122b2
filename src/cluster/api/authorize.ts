/**
 * Decides who may do what. RBAC objects are stored but not evaluated yet: administrators may do everything, all others what
 * every authenticated user of a Kubernetes cluster may (`system:discovery`, `system:basic-user`).
 */
import { StatusError } from "../../k8s/status-error.ts";
import type { User } from "./exchange.ts";

/** `authorization.k8s.io/v1` attributes: of a resource, or of a path that is none. */
export type Attributes =
  | {
      readonly verb: string;
      readonly group: string;
      /** Plural. */
      readonly resource: string;
      readonly subresource: string;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly verb: string; readonly path: string };

interface Asked {
  readonly method: string;
  readonly path: string;
  /** As `pathSegments` gives them. */
  readonly segments: readonly string[];
  readonly user: User;
  readonly isWatch?: boolean;
}

const SELF_REVIEWS: ReadonlySet<string> = new Set([
  "authentication.k8s.io/selfsubjectreviews",
  "authorization.k8s.io/selfsubjectaccessreviews",
  "authorization.k8s.io/selfsubjectrulesreviews",
]);
/** Of the cluster roles `system:discovery` and `system:public-info-viewer`. */
const OPEN_PATHS = /^\/(api|apis|openapi|healthz|livez|readyz|version)(\/|$)/;

export function isAdministrator({ groups }: Pick<User, "groups">): boolean {
  return groups.includes("system:masters");
}

export function isAllowed(user: Pick<User, "groups">, attributes: Attributes): boolean {
  if (isAdministrator(user)) return true;
  if (!user.groups.includes("system:authenticated")) return false;
  if ("path" in attributes) return attributes.verb === "get" && OPEN_PATHS.test(attributes.path);
  const { verb, group, resource, subresource } = attributes;
  return verb === "create" && subresource === "" && SELF_REVIEWS.has(`${group}/${resource}`);
}

/** What a user who is no administrator may do, as `SelfSubjectRulesReview` lists it. */
export const EVERYBODYS_RULES = {
  resourceRules: [
    {
      verbs: ["create"],
      apiGroups: ["authorization.k8s.io"],
      resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    { verbs: ["create"], apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"] },
  ],
  nonResourceRules: [
    {
      verbs: ["get"],
      nonResourceURLs: [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
      ],
    },
  ],
};

/** Why somebody who is no administrator may not. */
export const NOT_EVALUATED = "pillion does not evaluate RBAC yet";

/** Throws `Forbidden`, in the words of apiserver's `responsewriters`. */
export function authorizeRequest(asked: Asked): void {
  if (isAdministrator(asked.user)) return;
  const attributes = attributesOf(asked);
  if (isAllowed(asked.user, attributes)) return;
  const who = `User ${JSON.stringify(asked.user.username)} cannot ${attributes.verb}`;
  if ("path" in attributes) {
    throw new StatusError("Forbidden", `forbidden: ${who} path ${JSON.stringify(attributes.path)}`);
  }
  const { group, resource, subresource, namespace, name } = attributes;
  const whole = subresource === "" ? resource : `${resource}/${subresource}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(namespace)}`;
  const what = `resource ${JSON.stringify(whole)} in API group ${JSON.stringify(group)} ${where}`;
  const object = `${group === "" ? resource : `${resource}.${group}`}${name === "" ? "" : ` ${JSON.stringify(name)}`}`;
  throw new StatusError("Forbidden", `${object} is forbidden: ${who} ${what}: ${NOT_EVALUATED}`, {
    ...(name === "" ? {} : { name }),
    ...(group === "" ? {} : { group }),
    kind: resource,
  });
}

const VERBS: Readonly<Record<string, readonly [one: string, all: string]>> = {
  GET: ["get", "list"],
  HEAD: ["get", "list"],
  POST: ["create", "create"],
  PUT: ["update", "update"],
  PATCH: ["patch", "patch"],
  DELETE: ["delete", "deletecollection"],
};

/** apiserver `RequestInfoFactory`. */
export function attributesOf({ method, path, segments, isWatch = false }: Asked): Attributes {
  const [root, ...rest] = segments;
  const [group = "", , ...place] = root === "api" ? ["", ...rest] : rest;
  if ((root !== "api" && root !== "apis") || place.length === 0) return { verb: method.toLowerCase(), path };
  const isInNamespace = place[0] === "namespaces" && place[1] !== undefined;
  const namespace = isInNamespace ? (place[1] ?? "") : "";
  const isOwnSubresource = place.length === 3 && ["status", "finalize"].includes(place[2] ?? "");
  const [resource = "", name = "", subresource = ""] =
    isInNamespace && place.length > 2 && !isOwnSubresource ? place.slice(2) : place;
  const verbs = VERBS[method] ?? ["", ""];
  const verb = name === "" ? verbs[1] : verbs[0];
  const isWatching = isWatch && (verb === "list" || verb === "get");
  return { verb: isWatching ? "watch" : verb, group, resource, subresource, namespace, name };
}
