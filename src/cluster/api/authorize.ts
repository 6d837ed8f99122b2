/** Lets a request pass or refuses it, in the words of apiserver's `responsewriters`. */
import { goQuote } from "../../k8s/go-format.ts";
import type { Attributes } from "../../k8s/rbac.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { type Authorizer, isAdministrator } from "./authorizer.ts";
import type { User } from "./exchange.ts";
import { asBoolean } from "./request-options.ts";

interface Asked {
  readonly method: string;
  readonly path: string;
  /** As `pathSegments` gives them. */
  readonly segments: readonly string[];
  readonly query?: URLSearchParams;
  readonly user: User;
}

/** Throws `Forbidden`. */
export function authorizeRequest(asked: Asked, authorizer: Authorizer): void {
  if (isAdministrator(asked.user)) return;
  demand(authorizer, asked.user, attributesOf(asked));
}

/** Throws `Forbidden` where the user may not do it. */
export function demand(authorizer: Authorizer, user: User, attributes: Attributes): void {
  const { allowed, reason } = authorizer.decide(user, attributes);
  if (!allowed) throw forbiddenRequest(user, attributes, reason);
}

function forbiddenRequest(user: User, attributes: Attributes, reason: string): StatusError {
  const who = `User ${goQuote(user.username)} cannot ${attributes.verb}`;
  const why = reason === "" ? "" : `: ${reason}`;
  if ("path" in attributes) {
    return new StatusError("Forbidden", `forbidden: ${who} path ${goQuote(attributes.path)}${why}`);
  }
  const { group, resource, subresource, namespace, name } = attributes;
  const whole = subresource === "" ? resource : `${resource}/${subresource}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace ${goQuote(namespace)}`;
  const what = `resource ${goQuote(whole)} in API group ${goQuote(group)} ${where}`;
  const object = `${group === "" ? resource : `${resource}.${group}`}${name === "" ? "" : ` ${goQuote(name)}`}`;
  return new StatusError("Forbidden", `${object} is forbidden: ${who} ${what}${why}`, {
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
export function attributesOf({ method, path, segments, query }: Asked): Attributes {
  const [root, ...rest] = segments;
  const [group = "", , ...place] = root === "api" ? ["", ...rest] : rest;
  if ((root !== "api" && root !== "apis") || place.length === 0) return { verb: method.toLowerCase(), path };
  const isInNamespace = place[0] === "namespaces" && place[1] !== undefined;
  const namespace = isInNamespace ? (place[1] ?? "") : "";
  const isOwnSubresource = place.length === 3 && ["status", "finalize"].includes(place[2] ?? "");
  const [resource = "", named = "", subresource = ""] =
    isInNamespace && place.length > 2 && !isOwnSubresource ? place.slice(2) : place;
  const verbs = VERBS[method] ?? ["", ""];
  const verb = named === "" ? verbs[1] : verbs[0];
  const isList = verb === "list";
  const name = named === "" && (isList || verb === "deletecollection") ? selectedName(query) : named;
  const isWatching = isList && asBoolean(query?.get("watch") ?? "false");
  return { verb: isWatching ? "watch" : verb, group, resource, subresource, namespace, name };
}

/** A list of the one object that a field selector names is a question for that object. */
function selectedName(query: URLSearchParams | undefined): string {
  const selector = query?.get("fieldSelector") ?? "";
  const [, name = ""] = /(?:^|,)metadata\.name={1,2}([^,]*)(?:,|$)/.exec(selector) ?? [];
  return /^\.{1,2}$|[/%]/.test(name) ? "" : name;
}
