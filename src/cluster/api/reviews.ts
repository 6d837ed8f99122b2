/** Requests dressed as objects: who am I, may I do this, is this token good. They are answered, never stored. */
import type { ResourceInfo } from "../../k8s/catalogue.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import { SELF_ACCESS, SELF_RULES, SUBJECT_ACCESS } from "./access-reviews.ts";
import type { VerifyToken } from "./authenticate.ts";
import type { Authorizer } from "./authorizer.ts";
import type { User } from "./exchange.ts";

export interface ReviewContext {
  readonly user: User;
  /** Of the request's path; empty where there is none. */
  readonly namespace: string;
  readonly authorizer: Authorizer;
  readonly now: number;
  /** For TokenReview. */
  readonly verifyToken: VerifyToken;
}

/** Answers the status. Throws `BadRequest` or `Invalid` for a review that cannot be answered. */
export type Review = (review: KubeObject, context: ReviewContext) => object;

const REVIEWS: Readonly<Record<string, Review>> = {
  "selfsubjectreviews.authentication.k8s.io": (_, { user }) => ({ userInfo: user }),
  "tokenreviews.authentication.k8s.io": ({ spec }, { verifyToken }) => {
    const { token, audiences } = isJsonObject(spec) ? spec : {};
    const wanted = Array.isArray(audiences) && audiences.length > 0 ? audiences.map(String) : undefined;
    const verified = verifyToken(typeof token === "string" ? token : "", wanted);
    if (typeof verified === "string") return { user: {}, error: verified };
    return { authenticated: true, user: verified.user, audiences: verified.audiences };
  },
  "selfsubjectaccessreviews.authorization.k8s.io": SELF_ACCESS,
  "subjectaccessreviews.authorization.k8s.io": SUBJECT_ACCESS,
  "localsubjectaccessreviews.authorization.k8s.io": (review, context) => {
    const { namespace = context.namespace } = review.metadata;
    if (namespace === context.namespace) return SUBJECT_ACCESS(review, context);
    throw new StatusError(
      "BadRequest",
      "the namespace of the provided object does not match the namespace sent on the request",
    );
  },
  "selfsubjectrulesreviews.authorization.k8s.io": SELF_RULES,
};

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
