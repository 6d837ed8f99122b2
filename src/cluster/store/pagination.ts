/** Continue tokens: where the next page of a list starts, and at which version (`apiserver/pkg/storage/continue.go`). */
import { isJsonObject } from "../../lib/frozen-json.ts";
import { badRequest } from "./api-errors.ts";
import type { Key } from "./collection.ts";

const TOKEN_VERSION = "meta.k8s.io/v1";

/** Continue at the newest version: what a client gets with an expired token that it may use all the same. */
export const AT_NEWEST = -1;

export interface Continuation {
  /** Version of the first page, or `AT_NEWEST`. */
  readonly version: number;
  /** The first key that may stand on the page. */
  readonly from: Key;
}

export function encodeContinue({ version, from }: Continuation): string {
  return Buffer.from(JSON.stringify({ v: TOKEN_VERSION, rv: version, start: from })).toString("base64url");
}

/** Tokens come back from outside: everything that is not ours is `BadRequest`. */
export function decodeContinue(token: string): Continuation {
  const content = parse(token);
  if (content["v"] !== TOKEN_VERSION) {
    const version = typeof content["v"] === "string" ? content["v"] : "";
    throw invalidToken(`: server does not recognize this encoded version ${version}`);
  }
  const { rv, start } = content;
  if (typeof rv !== "number" || !Number.isSafeInteger(rv) || rv === 0 || rv < AT_NEWEST) {
    throw invalidToken(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
  }
  if (typeof start !== "string" || start === "") {
    throw invalidToken(": encoded start key empty (version meta.k8s.io/v1)");
  }
  return { version: rv, from: start };
}

/** The smallest key after `key`, so that a page may also start behind an object that is gone by then. */
export function keyAfter(key: Key): Key {
  return `${key}\0`;
}

function parse(token: string): {
  readonly [key: string]: unknown;
  readonly rv?: unknown;
  readonly start?: unknown;
} {
  if (!/^[\w-]+$/.test(token)) throw invalidToken(": illegal base64 data");
  try {
    const content: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    if (isJsonObject(content)) return content;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw invalidToken(": the token is not of this server");
}

function invalidToken(why: string): Error {
  return badRequest(`invalid continue token: continue key is not valid${why}`);
}
