/** Requests dressed as objects: who am I, may I do this, is this token good. They are answered, never stored. */
import type { ResourceInfo } from "../../k8s/catalogue.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { isJsonObject, type JsonObject } from "../../lib/frozen-json.ts";
import { ADMINISTRATOR, type VerifyToken } from "./authenticate.ts";
import { type Attributes, EVERYBODYS_RULES, isAdministrator, isAllowed, NOT_EVALUATED } from "./authorize.ts";
import type { User } from "./exchange.ts";

export interface ReviewContext {
  readonly user: User;
  readonly now: number;
  /** For TokenReview. */
  readonly verifyToken: VerifyToken;
}

type Review = (review: KubeObject, context: ReviewContext) => object;

/** Whether somebody may do what a review asks about. */
function decide(review: KubeObject, subject: Pick<User, "groups">): object {
  const attributes = attributesIn(review);
  if (attributes === undefined) {
    throw new StatusError(
      "BadRequest",
      "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    );
  }
  if (isAdministrator(subject)) {
    return { allowed: true, reason: "the administrator of a local cluster may do everything" };
  }
  return isAllowed(subject, attributes) ? { allowed: true } : { allowed: false, reason: NOT_EVALUATED };
}

const SELF: Review = (review, { user }) => decide(review, user);

/** As the real server: what counts is what the review says of the subject, not what is known of it. */
const OTHER: Review = (review) => {
  const { user = "", groups } = isJsonObject(review["spec"]) ? review["spec"] : {};
  const given = Array.isArray(groups) ? groups.map(String) : [];
  return decide(review, {
    groups: user === ADMINISTRATOR.username ? [...given, ...ADMINISTRATOR.groups] : given,
  });
};

const REVIEWS: Readonly<Record<string, Review>> = {
  "selfsubjectreviews.authentication.k8s.io": (_, { user }) => ({ userInfo: user }),
  "tokenreviews.authentication.k8s.io": ({ spec }, { verifyToken }) => {
    const { token, audiences } = isJsonObject(spec) ? spec : {};
    const wanted = Array.isArray(audiences) && audiences.length > 0 ? audiences.map(String) : undefined;
    const verified = verifyToken(typeof token === "string" ? token : "", wanted);
    if (typeof verified === "string") return { user: {}, error: verified };
    return { authenticated: true, user: verified.user, audiences: verified.audiences };
  },
  "selfsubjectaccessreviews.authorization.k8s.io": SELF,
  "subjectaccessreviews.authorization.k8s.io": OTHER,
  "localsubjectaccessreviews.authorization.k8s.io": OTHER,
  "selfsubjectrulesreviews.authorization.k8s.io": (_, { user }) => ({
    ...(isAdministrator(user) ? EVERYTHING : EVERYBODYS_RULES),
    incomplete: false,
  }),
};

const EVERYTHING = {
  resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
  nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
};

function attributesIn({ spec }: KubeObject): Attributes | undefined {
  if (!isJsonObject(spec)) return undefined;
  const { resourceAttributes: resource, nonResourceAttributes: other } = spec;
  if (isJsonObject(resource) === isJsonObject(other)) return undefined;
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  if (isJsonObject(other)) return { verb: text(other["verb"]), path: text(other["path"]) };
  const given: JsonObject = isJsonObject(resource) ? resource : {};
  return {
    verb: text(given["verb"]),
    group: text(given["group"]),
    resource: text(given["resource"]),
    subresource: text(given["subresource"]),
    namespace: text(given["namespace"]),
    name: text(given["name"]),
  };
}

/** The review with its status; undefined for resources that are no reviews. */
export function answerReview(
  { groupResource }: ResourceInfo,
  review: KubeObject,
  context: ReviewContext,
): KubeObject | undefined {
  const answer = REVIEWS[groupResource];
  if (answer === undefined) return undefined;
  const metadata = { ...review.metadata, creationTimestamp: formatTimestamp(context.now) };
  return { ...review, metadata, status: answer(review, context) };
}
