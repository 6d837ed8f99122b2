/** Issues and verifies tokens of service accounts (pkg/serviceaccount/claims.go): bound to objects, for audiences, for a time. */
import { randomUUID } from "node:crypto";
import type { Pod, Secret } from "../../../generated/kubernetes.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import type { IssueToken } from "../kubelet/port.ts";
import { notFound } from "../store/api-errors.ts";
import type { Store } from "../store/store.ts";
import type { User } from "./exchange.ts";
import { type Claims, tokenKey } from "./json-web-token.ts";
import type { Pki } from "./pki.ts";

/** Issuer of every token, and the audience of those that are meant for the API itself. */
export const ISSUER = "https://kubernetes.default.svc.cluster.local";
/** A deleted object's token is honoured that long, for programs that are still shutting down. */
const DELETION_LEEWAY_MS = 60_000;

export interface BoundObject {
  readonly kind: "Pod" | "Secret" | "Node";
  readonly name: string;
  readonly uid: string;
}

export interface TokenOrder {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Empty: the API. */
  readonly audiences: readonly string[];
  /** Absent: the token has no end of its own. */
  readonly expirationSeconds?: number;
  /** The token ends with this object. */
  readonly boundTo?: BoundObject;
}

export interface VerifiedToken {
  readonly user: User;
  /** Those that the token is for, of those that were asked for. */
  readonly audiences: readonly string[];
}

export interface ServiceAccountTokens {
  /** `expiresAt` in Unix milliseconds, or infinity. `NotFound` when there is no such account. */
  issue(order: TokenOrder): { readonly token: string; readonly expiresAt: number };
  /** The user, or why there is none: a text for people. `audiences` are the API's own by default. */
  verify(token: string, audiences?: readonly string[]): VerifiedToken | string;
}

export interface TokenParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly pki: Pick<Pki, "tokenKey">;
}

/** What the kubelet asks for the tokens of its pods' volumes. */
export function tokenIssuer(parts: TokenParts): IssueToken {
  const tokens = openServiceAccountTokens(parts);
  return ({ pod, ...order }) => tokens.issue({ ...order, boundTo: { kind: "Pod", ...pod } });
}

/** What the controller of Secrets asks for theirs. */
export function secretTokenIssuer(parts: TokenParts) {
  const tokens = openServiceAccountTokens(parts);
  return ({ secret, ...order }: SecretTokenOrder): string =>
    tokens.issue({ ...order, audiences: [], boundTo: { kind: "Secret", ...secret } }).token;
}

type SecretTokenOrder = Pick<TokenOrder, "namespace" | "serviceAccount"> & {
  readonly secret: Omit<BoundObject, "kind">;
};

export function openServiceAccountTokens({ store, clock, pki }: TokenParts): ServiceAccountTokens {
  // Read when the first token is: most clusters of a test never see one.
  let key: ReturnType<typeof tokenKey> | undefined;
  const keys = () => (key ??= tokenKey(pki.tokenKey));
  return {
    issue(order) {
      const { namespace, serviceAccount: name } = order;
      const account = store.get("serviceaccounts", { namespace, name });
      if (account === undefined) throw notFound("serviceaccounts", name);
      const now = Math.floor(clock.now() / 1000);
      const claims = claimsOf(order, { account, store, now });
      return { token: keys().sign(claims), expiresAt: (now + (order.expirationSeconds ?? Infinity)) * 1000 };
    },
    verify(token, audiences = [ISSUER]) {
      if (!token.startsWith("ey")) return "invalid bearer token";
      const claims = keys().verify(token);
      if (claims === undefined) return "invalid bearer token";
      const verified = verifyClaims(claims, { audiences, store, now: clock.now() });
      if (typeof verified === "string" || claims["exp"] !== undefined) return verified;
      return isInSecret(token, claims, store) ? verified : REPLACED;
    },
  };
}

interface Issuing {
  readonly account: KubeObject;
  readonly store: Store;
  /** Unix seconds. */
  readonly now: number;
}

function claimsOf(order: TokenOrder, { account, store, now }: Issuing): Claims {
  const { namespace, serviceAccount: name, audiences, expirationSeconds, boundTo } = order;
  return {
    aud: audiences.length === 0 ? [ISSUER] : audiences,
    ...(expirationSeconds === undefined ? {} : { exp: now + expirationSeconds }),
    iat: now,
    iss: ISSUER,
    jti: randomUUID(),
    "kubernetes.io": {
      namespace,
      ...boundClaims(boundTo, { namespace, store }),
      serviceaccount: { name, uid: account.metadata.uid },
    },
    nbf: now,
    sub: subjectOf({ namespace, name }),
  };
}

function boundClaims(
  boundTo: BoundObject | undefined,
  { namespace, store }: { readonly namespace: string; readonly store: Store },
): object {
  if (boundTo === undefined) return {};
  const { kind, name, uid } = boundTo;
  if (kind !== "Pod") return { [kind.toLowerCase()]: { name, uid } };
  const { spec }: Partial<Pod> = store.get("pods", { namespace, name }) ?? {};
  const nodeName = spec?.nodeName ?? "";
  const node = nodeName === "" ? undefined : store.get("nodes", { namespace: "", name: nodeName });
  return {
    pod: { name, uid },
    ...(node === undefined ? {} : { node: { name: nodeName, uid: node.metadata.uid } }),
  };
}

function subjectOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

interface Verifying {
  readonly audiences: readonly string[];
  readonly store: Store;
  /** Unix milliseconds. */
  readonly now: number;
}

const EXPIRED = "service account token has expired";
/** Of legacy tokens (`legacyValidator`). */
const REPLACED = "service account token has been invalidated";

/** A token without an end lasts as long as its Secret holds it: to take it out is how one gets another. */
function isInSecret(token: string, claims: Claims, store: Store): boolean {
  const own = claims["kubernetes.io"];
  const bound = isJsonObject(own) ? reference(own["secret"]) : undefined;
  if (!isJsonObject(own) || bound === undefined) return false;
  const secret: Secret | undefined = store.get("secrets", {
    namespace: String(own["namespace"]),
    name: bound.name,
  });
  return Buffer.from(secret?.data?.["token"] ?? "", "base64").toString("utf8") === token;
}

function verifyClaims(claims: Claims, { audiences, store, now }: Verifying): VerifiedToken | string {
  const own = claims["kubernetes.io"];
  const account = isJsonObject(own) ? reference(own["serviceaccount"]) : undefined;
  if (!isJsonObject(own) || account === undefined) return "the token names no service account";
  const namespace = String(own["namespace"]);
  if (claims["exp"] !== undefined && Number(claims["exp"]) * 1000 <= now) return EXPIRED;
  if (Number(claims["nbf"]) * 1000 > now) return "service account token is not valid yet";
  const given = Array.isArray(claims["aud"]) ? claims["aud"].map(String) : [];
  const common = audiences.filter((one) => given.includes(one));
  if (common.length === 0) {
    return `token audiences ${quoted(given)} is invalid for the target audiences ${quoted(audiences)}`;
  }
  const there = store.get("serviceaccounts", { namespace, name: account.name });
  if (there === undefined || isOver(there, account.uid, now)) return "service account has been deleted";
  for (const [claim, resource] of BOUND_RESOURCES) {
    const bound = reference(own[claim]);
    if (bound === undefined) continue;
    const at = { namespace, name: bound.name };
    const object = store.get(resource, at);
    if (object === undefined || isOver(object, bound.uid, now))
      return `the token is bound to a ${claim} that is gone`;
  }
  return { user: userOf(claims, { namespace, own, account }), audiences: common };
}

/** What a token may end with. The node of a pod's token is only told, not checked (as the real server does by default). */
const BOUND_RESOURCES = [
  ["pod", "pods"],
  ["secret", "secrets"],
] as const;

function isOver({ metadata }: KubeObject, uid: string, now: number): boolean {
  if (metadata.uid !== uid) return true;
  const { deletionTimestamp } = metadata;
  return deletionTimestamp !== undefined && Date.parse(deletionTimestamp) + DELETION_LEEWAY_MS < now;
}

interface Named {
  readonly name: string;
  readonly uid: string;
}

function reference(claim: unknown): Named | undefined {
  if (!isJsonObject(claim)) return undefined;
  const { name, uid } = claim;
  return typeof name === "string" && typeof uid === "string" ? { name, uid } : undefined;
}

function userOf(
  claims: Claims,
  { namespace, own, account }: { readonly namespace: string; readonly own: Claims; readonly account: Named },
): User {
  const extra: Record<string, readonly string[]> = {
    "authentication.kubernetes.io/credential-id": [`JTI=${String(claims["jti"])}`],
  };
  for (const kind of ["pod", "node"]) {
    const bound = reference(own[kind]);
    if (bound === undefined) continue;
    extra[`authentication.kubernetes.io/${kind}-name`] = [bound.name];
    extra[`authentication.kubernetes.io/${kind}-uid`] = [bound.uid];
  }
  return {
    username: subjectOf({ namespace, name: account.name }),
    uid: account.uid,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
    extra,
  };
}

function quoted(values: readonly string[]): string {
  return `[${values.map((value) => JSON.stringify(value)).join(" ")}]`;
}
