/** `kubectl --as`: looking at the cluster with the eyes of somebody else (apiserver `filters/impersonation`). */
import type { IncomingHttpHeaders } from "node:http";
import { StatusError } from "../../k8s/status-error.ts";
import { demand } from "./authorize.ts";
import type { Authorizer } from "./authorizer.ts";
import type { User } from "./exchange.ts";

const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;

/** The user itself where the headers ask for nobody else. `Forbidden` for those who may not `impersonate` that one. */
export function impersonated(user: User, headers: IncomingHttpHeaders, authorizer: Authorizer): User {
  const username = headers["impersonate-user"]?.toString() ?? "";
  const given = listOf(headers["impersonate-group"]);
  const uid = headers["impersonate-uid"]?.toString();
  const extra = extrasOf(headers);
  if (username === "" && given.length === 0 && uid === undefined && Object.keys(extra).length === 0)
    return user;
  if (username === "") {
    throw new StatusError("BadRequest", `requested ${JSON.stringify(given)} without impersonating a user`);
  }
  demandAll(user, { username, groups: given, uid, extra }, authorizer);
  const groups = given.length > 0 ? given : impliedGroups(username);
  const everybody = username === "system:anonymous" ? "system:unauthenticated" : "system:authenticated";
  return {
    username,
    groups: groups.includes(everybody) ? groups : [...groups, everybody],
    ...(uid === undefined ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

interface Wanted {
  readonly username: string;
  readonly groups: readonly string[];
  readonly uid: string | undefined;
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

function demandAll(user: User, { username, groups, uid, extra }: Wanted, authorizer: Authorizer): void {
  const ask = (part: {
    readonly group?: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name: string;
  }) => demand(authorizer, user, { verb: "impersonate", group: "", subresource: "", namespace: "", ...part });
  const [, namespace, name] = SERVICE_ACCOUNT.exec(username) ?? [];
  if (namespace !== undefined && name !== undefined) ask({ resource: "serviceaccounts", namespace, name });
  else ask({ resource: "users", name: username });
  for (const group of groups) ask({ resource: "groups", name: group });
  const group = "authentication.k8s.io";
  if (uid !== undefined) ask({ group, resource: "uids", name: uid });
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values) ask({ group, resource: "userextras", subresource: key, name: value });
  }
}

const EXTRA = "impersonate-extra-";

function extrasOf(headers: IncomingHttpHeaders): Record<string, readonly string[]> {
  const given = Object.entries(headers).filter(([name]) => name.startsWith(EXTRA));
  return Object.fromEntries(
    given.map(([name, values]) => [decodedKey(name.slice(EXTRA.length)), listOf(values)]),
  );
}

/** Keys may be percent-encoded; one that is not well encoded is taken as it is. */
function decodedKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
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
