/** Decides who may talk to the API at all: programs that hold the token, never a web page. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { StatusError } from "../../k8s/status-error.ts";
import type { User } from "./exchange.ts";

export const ADMINISTRATOR: User = {
  username: "kubernetes-admin",
  groups: ["system:masters", "system:authenticated"],
};

/** Turns `Authorization` into a user. Throws `Unauthorized`. */
export type Authenticate = (headers: IncomingHttpHeaders) => User;

/** One token, one user. The comparison takes the same time whatever was sent. */
export function authenticateToken(token: string, user = ADMINISTRATOR): Authenticate {
  const expected = digest(token);
  return ({ authorization = "" }) => {
    const [, sent = ""] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
    if (timingSafeEqual(digest(sent), expected)) return user;
    throw new StatusError("Unauthorized", "Unauthorized");
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
