/** Requests dressed as objects: who am I, may I do this, is this token good. They are answered, never stored. */
import type { ResourceInfo } from "../../k8s/catalogue.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import type { User } from "./exchange.ts";

export interface ReviewContext {
  readonly user: User;
  readonly now: number;
  /** The user a token belongs to, for TokenReview. */
  readonly userOfToken: (token: string) => User | undefined;
}

type Review = (review: KubeObject, context: ReviewContext) => object;

/** Whoever has got in is the administrator, until service accounts have tokens of their own. */
const ALLOWED: Review = (review) => {
  if (!hasAttributes(review)) {
    throw new StatusError(
      "BadRequest",
      "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    );
  }
  return { allowed: true, reason: "the administrator of a local cluster may do everything" };
};

const REVIEWS: Readonly<Record<string, Review>> = {
  "selfsubjectreviews.authentication.k8s.io": (_, { user }) => ({ userInfo: user }),
  "tokenreviews.authentication.k8s.io": ({ spec }, { userOfToken }) => {
    const { token, audiences } = isJsonObject(spec) ? spec : {};
    const user = typeof token === "string" ? userOfToken(token) : undefined;
    if (user === undefined) return { user: {}, error: "invalid bearer token" };
    return { authenticated: true, user, ...(Array.isArray(audiences) ? { audiences } : {}) };
  },
  "selfsubjectaccessreviews.authorization.k8s.io": ALLOWED,
  "subjectaccessreviews.authorization.k8s.io": ALLOWED,
  "localsubjectaccessreviews.authorization.k8s.io": ALLOWED,
  "selfsubjectrulesreviews.authorization.k8s.io": () => ({
    resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
    nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
    incomplete: false,
  }),
};

function hasAttributes({ spec }: KubeObject): boolean {
  if (!isJsonObject(spec)) return false;
  return isJsonObject(spec["resourceAttributes"]) !== isJsonObject(spec["nonResourceAttributes"]);
}

/** The review with its status; undefined for resources that are no reviews. */
export function answerReview(
  { groupResource }: ResourceInfo,
  review: KubeObject,
  context: ReviewContext,
): KubeObject | undefined {
  const decide = REVIEWS[groupResource];
  if (decide === undefined) return undefined;
  const metadata = { ...review.metadata, creationTimestamp: formatTimestamp(context.now) };
  return { ...review, metadata, status: decide(review, context) };
}
