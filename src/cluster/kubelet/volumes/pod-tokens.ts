/** Tokens of service accounts for the volumes of one pod: asked for once, kept, and replaced before they expire. */
import { StatusError } from "../../../k8s/status-error.ts";
import type { IssueToken } from "../port.ts";

/** As the kubelet's token manager: a fifth of the life is left, or a day has passed. */
const LIFE_LEFT = 0.2;
const MAX_AGE_MS = 24 * 60 * 60 * 1000;
/** After a failed request. */
const RETRY_MS = 10_000;

export interface TokenWish {
  readonly audience?: string;
  readonly expirationSeconds: number;
}

export interface TokenFacts {
  readonly issueToken: IssueToken | undefined;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: { readonly name: string; readonly uid: string };
}

interface Kept {
  readonly token: string;
  readonly refreshAt: number;
  readonly expiresAt: number;
}

export class PodTokens {
  readonly #kept = new Map<string, Kept>();
  /** When the last attempt to replace a token failed, the time of the next. */
  #retryAt: number | undefined;

  /** Throws a `StatusError` or the issuer's error when there is no token to show. `now` in Unix milliseconds. */
  get(wish: TokenWish, facts: TokenFacts, now: number): string {
    const key = JSON.stringify([wish.audience, wish.expirationSeconds, facts.serviceAccount]);
    const kept = this.#kept.get(key);
    if (kept !== undefined && now < kept.refreshAt) return kept.token;
    try {
      const fresh = request(wish, facts, now);
      this.#kept.set(key, fresh);
      this.#retryAt = undefined;
      return fresh.token;
    } catch (error) {
      this.#retryAt = now + RETRY_MS;
      if (kept === undefined || now >= kept.expiresAt) throw error;
      return kept.token;
    }
  }

  /** Unix milliseconds of the earliest replacement; `undefined` while no token is in use. */
  get refreshAt(): number | undefined {
    if (this.#kept.size === 0) return undefined;
    const due = Math.min(...[...this.#kept.values()].map(({ refreshAt }) => refreshAt));
    return this.#retryAt === undefined ? due : Math.max(due, this.#retryAt);
  }
}

function request({ audience, expirationSeconds }: TokenWish, facts: TokenFacts, now: number): Kept {
  const { issueToken, ...subject } = facts;
  if (issueToken === undefined)
    throw new StatusError("NotFound", "this cluster issues no tokens for service accounts");
  const audiences = audience === undefined || audience === "" ? [] : [audience];
  const { token, expiresAt } = issueToken({ ...subject, audiences, expirationSeconds });
  const lifeMs = expiresAt - now;
  return { token, expiresAt, refreshAt: now + Math.min(lifeMs * (1 - LIFE_LEFT), MAX_AGE_MS) };
}
