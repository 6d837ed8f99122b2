/** Answers a registry's challenge: Bearer tokens (distribution's token specification) and Basic (RFC 9110, RFC 7617). */
import { z } from "zod";
import type { RegistryCredentials } from "./image.ts";

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Keys in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const Answer = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
});

/** Challenges of a `WWW-Authenticate` header in their order; what is malformed is left out. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  // One token, either a scheme or a `key=value` of the scheme before it.
  const part = /([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?[\s,]*/gy;
  for (const [, word = "", quoted, plain] of header.slice(0, 8_192).matchAll(part)) {
    const value = quoted?.replaceAll(/\\(.)/g, "$1") ?? plain;
    if (value === undefined) challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
    else challenges.at(-1)?.parameters.set(word.toLowerCase(), value);
  }
  return challenges;
}

/** Where to ask for a token. Undefined when the challenge names no usable place. */
export function tokenUrl(challenge: Challenge, scope: string, account: string | undefined): URL | undefined {
  const realm = URL.parse(challenge.parameters.get("realm") ?? "");
  if (realm === null || (realm.protocol !== "https:" && realm.protocol !== "http:")) return undefined;
  const service = challenge.parameters.get("service");
  if (service !== undefined) realm.searchParams.set("service", service);
  for (const one of (challenge.parameters.get("scope") ?? scope).split(" "))
    realm.searchParams.append("scope", one);
  if (account !== undefined) realm.searchParams.set("account", account);
  return realm;
}

/** The token of a token server's answer; undefined when it has none. */
export function tokenOf(json: unknown): string | undefined {
  const answer = Answer.safeParse(json);
  const token = answer.success ? (answer.data.token ?? answer.data.access_token) : undefined;
  // A line break would let the token server write headers of its own.
  return token !== undefined && /^[\x21-\x7e]+$/.test(token) ? token : undefined;
}

export function basicAuthorization({ username, password }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
