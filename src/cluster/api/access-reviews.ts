/** `kubectl auth can-i`: what the authorizer would say, without doing it (pkg/registry/authorization). */
import { type FieldError, invalid, invalidObject } from "../../k8s/field-error.ts";
import type { KubeObject } from "../../k8s/object.ts";
import type { Attributes, PolicyRule } from "../../k8s/rbac.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { ADMINISTRATOR } from "./authenticate.ts";
import type { Asker, Authorizer } from "./authorizer.ts";
import type { Review } from "./reviews.ts";

export const SELF_ACCESS: Review = (review, { user, authorizer }) =>
  statusOf({ authorizer, user, attributes: attributesIn(review) });

/** As the real server: what counts is what the review says of the subject, not what is known of it. */
export const SUBJECT_ACCESS: Review = (review, { authorizer, namespace }) => {
  const attributes = attributesIn(review, namespace);
  const { user, groups } = isJsonObject(review["spec"]) ? review["spec"] : {};
  const username = textOf(user);
  const given = Array.isArray(groups) ? groups.map(String) : [];
  if (username === "" && given.length === 0) {
    refuse(review, [invalid("spec.user", username, "at least one of user or group must be specified")]);
  }
  const own = username === ADMINISTRATOR.username ? ADMINISTRATOR.groups : [];
  return statusOf({ authorizer, user: { username, groups: [...given, ...own] }, attributes });
};

export const SELF_RULES: Review = ({ spec }, { user, authorizer }) => {
  const namespace = isJsonObject(spec) ? textOf(spec["namespace"]) : "";
  if (namespace === "") throw new StatusError("BadRequest", "no namespace on request");
  const { rules, errors } = authorizer.rulesFor(user, namespace);
  return {
    resourceRules: rules.filter((rule) => (rule.resources ?? []).length > 0).map(resourceRule),
    nonResourceRules: rules
      .filter(({ nonResourceURLs = [] }) => nonResourceURLs.length > 0)
      .map(({ verbs = [], nonResourceURLs = [] }) => ({ verbs, nonResourceURLs })),
    incomplete: errors.length > 0,
    ...(errors.length === 0 ? {} : { evaluationError: errors.join(", ") }),
  };
};

function resourceRule({ verbs = [], apiGroups = [], resources = [], resourceNames }: PolicyRule): object {
  return { verbs, apiGroups, resources, ...(resourceNames === undefined ? {} : { resourceNames }) };
}

interface Question {
  readonly authorizer: Authorizer;
  readonly user: Asker;
  readonly attributes: Attributes;
}

function statusOf({ authorizer, user, attributes }: Question): object {
  const { allowed, reason } = authorizer.decide(user, attributes);
  return { allowed, ...(reason === "" ? {} : { reason }) };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** `ValidateSubjectAccessReviewSpec`; with a namespace, `ValidateLocalSubjectAccessReview`. */
function attributesIn(review: KubeObject, namespace = ""): Attributes {
  const spec: JsonObject = isJsonObject(review["spec"]) ? review["spec"] : {};
  const { resourceAttributes: resource, nonResourceAttributes: other } = spec;
  if (isJsonObject(resource) && isJsonObject(other)) {
    const why = "cannot be specified in combination with resourceAttributes";
    return refuse(review, [invalid("spec.nonResourceAttributes", other, why)]);
  }
  if (isJsonObject(other)) {
    if (namespace !== "") {
      const why = "disallowed on this kind of request";
      return refuse(review, [invalid("spec.nonResourceAttributes", other, why)]);
    }
    return { verb: textOf(other["verb"]), path: textOf(other["path"]) };
  }
  if (!isJsonObject(resource)) {
    const why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    return refuse(review, [invalid("spec.resourceAttributes", null, why)]);
  }
  const asked = textOf(resource["namespace"]);
  if (namespace !== "" && asked !== namespace) {
    const field = "spec.resourceAttributes.namespace";
    return refuse(review, [invalid(field, asked, "must match metadata.namespace")]);
  }
  return {
    verb: textOf(resource["verb"]),
    group: textOf(resource["group"]),
    resource: textOf(resource["resource"]),
    subresource: textOf(resource["subresource"]),
    namespace: asked,
    name: textOf(resource["name"]),
  };
}

function refuse({ kind }: KubeObject, errors: readonly FieldError[]): never {
  throw invalidObject({ group: "", kind, name: "" }, errors);
}
