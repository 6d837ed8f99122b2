/** Decides who may talk to the API at all: programs that hold the token, never a web page. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { StatusError } from "../../k8s/status-error.ts";
import type { Authorizer } from "./authorizer.ts";
import type { User } from "./exchange.ts";
import { impersonated } from "./impersonate.ts";
import { ISSUER, type ServiceAccountTokens } from "./service-account-tokens.ts";

export const ADMINISTRATOR: User = {
  username: "kubernetes-admin",
  groups: ["system:masters", "system:authenticated"],
};

/** Turns `Authorization` into a user. Throws `Unauthorized`. */
export type Authenticate = (headers: IncomingHttpHeaders) => User;

export type VerifyToken = ServiceAccountTokens["verify"];

/** The administrator's one token, and those of service accounts. The comparison takes the same time whatever was sent. */
export function verifyTokens(administrators: string, tokens: ServiceAccountTokens): VerifyToken {
  const expected = digest(administrators);
  return (token, audiences) => {
    if (timingSafeEqual(digest(token), expected))
      return { user: ADMINISTRATOR, audiences: audiences ?? [ISSUER] };
    return tokens.verify(token, audiences);
  };
}

export function authenticateBearer(verify: VerifyToken, authorizer: Authorizer): Authenticate {
  return (headers) => {
    const { authorization = "" } = headers;
    const [, sent = ""] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
    const verified = verify(sent);
    if (typeof verified === "string") throw new StatusError("Unauthorized", "Unauthorized");
    return impersonated(verified.user, headers, authorizer);
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * Refuses what a browser sends: another site's name in `Host` (DNS rebinding) or an `Origin`. kubectl, helm and client
 * libraries send neither. Throws `Forbidden`.
 */
export function refuseBrowsers(
  { host, origin }: IncomingHttpHeaders,
  isOwnName: (name: string) => boolean,
): void {
  const name = (host ?? "")
    .replace(/:\d+$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .toLowerCase();
  if (!isOwnName(name)) {
    throw new StatusError(
      "Forbidden",
      `Host "${host ?? ""}" is not a name of this cluster; use 127.0.0.1 or localhost`,
    );
  }
  if (origin !== undefined) {
    throw new StatusError("Forbidden", "requests from web pages are not allowed");
  }
}
