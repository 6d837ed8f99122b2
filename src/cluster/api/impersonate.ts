/** `kubectl --as`: an administrator looks at the cluster with the eyes of somebody else (apiserver `filters/impersonation`). */
import type { IncomingHttpHeaders } from "node:http";
import { StatusError } from "../../k8s/status-error.ts";
import { isAdministrator } from "./authorize.ts";
import type { User } from "./exchange.ts";

const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;

/** The user itself where the headers ask for nobody else. `Forbidden` for those who are no administrators. */
export function impersonated(user: User, headers: IncomingHttpHeaders): User {
  const username = headers["impersonate-user"]?.toString() ?? "";
  const given = listOf(headers["impersonate-group"]);
  const uid = headers["impersonate-uid"]?.toString();
  if (username === "" && given.length === 0 && uid === undefined) return user;
  if (username === "") {
    throw new StatusError("BadRequest", `requested ${JSON.stringify(given)} without impersonating a user`);
  }
  if (!isAdministrator(user)) {
    const who = `User ${JSON.stringify(user.username)} cannot impersonate`;
    throw new StatusError(
      "Forbidden",
      `users ${JSON.stringify(username)} is forbidden: ${who} resource "users" in API group "" at the cluster scope`,
      { name: username, kind: "users" },
    );
  }
  const groups = given.length > 0 ? given : impliedGroups(username);
  const everybody = username === "system:anonymous" ? "system:unauthenticated" : "system:authenticated";
  return {
    username,
    groups: groups.includes(everybody) ? groups : [...groups, everybody],
    ...(uid === undefined ? {} : { uid }),
  };
}

/** A service account has its groups by its name. */
function impliedGroups(username: string): string[] {
  const namespace = SERVICE_ACCOUNT.exec(username)?.[1];
  return namespace === undefined ? [] : ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
}

/** Node joins headers of one name with a comma. */
function listOf(header: string | readonly string[] | undefined): string[] {
  const texts = header === undefined ? [] : [header].flat();
  return texts.flatMap((text) => text.split(", ")).filter((text) => text !== "");
}
