/** Hands questions about the rest of the world to this machine's resolvers, a bounded number at a time. */
import type { Clock } from "../../../kernel/clock.ts";
import { sleep } from "../../../lib/sleep.ts";
import {
  askOverTcp,
  askOverUdp,
  type ServerAddress,
  type UpstreamAnswer,
  type UpstreamQuery,
} from "./ask-server.ts";
import { RCODE } from "./dns-message.ts";

/** One server's time for one try. */
const TRY_MS = 2_000;
/** All tries together: the C library gives up on us after 5 seconds, and SERVFAIL says more than silence. */
const TOTAL_MS = 4_500;
const ROUNDS = 2;
const MOST_IN_FLIGHT = 256;

export interface ForwardOptions {
  /** First choice first; asked again for each question. */
  readonly servers: () => readonly ServerAddress[];
  readonly clock: Clock;
  /** Ends all questions. */
  readonly signal: AbortSignal;
}

/** `undefined`: nobody has answered, or too many are being asked already. Never rejects. */
export type Forward = (query: UpstreamQuery) => Promise<UpstreamAnswer | undefined>;

/**
 * What is being asked is not asked again meanwhile: a resolver that asks us what we ask it comes to an end.
 * A server that fails or says SERVFAIL or REFUSED is passed over for the next one; the last such answer is better than
 * none.
 */
export function createForwarder({ servers, clock, signal }: ForwardOptions): Forward {
  const asked = new Map<string, Promise<UpstreamAnswer | undefined>>();
  return (query) => {
    const key = keyOf(query);
    const known = asked.get(key);
    if (known !== undefined) return known;
    if (asked.size >= MOST_IN_FLIGHT || signal.aborted) return Promise.resolve(undefined);
    const answer = askAll(query, { servers: servers(), clock, signal });
    asked.set(key, answer);
    return answer.finally(() => asked.delete(key));
  };
}

/** Letter for letter: a client may look whether its own spelling comes back. */
function keyOf({ question, edns, checkingDisabled }: UpstreamQuery): string {
  return JSON.stringify([question.name, question.type, edns, checkingDisabled]);
}

interface Round {
  readonly servers: readonly ServerAddress[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

async function askAll(
  query: UpstreamQuery,
  { servers, clock, signal }: Round,
): Promise<UpstreamAnswer | undefined> {
  const end = clock.monotonic() + TOTAL_MS;
  let refusal: UpstreamAnswer | undefined;
  const tries = Array.from({ length: ROUNDS }, () => servers).flat();
  for (const server of tries) {
    const ms = Math.min(TRY_MS, end - clock.monotonic());
    if (ms <= 0 || signal.aborted) break;
    const answer = await tryOne(server, query, { ms, clock, signal });
    if (answer === undefined) continue;
    const { rcode } = answer.message;
    if (rcode !== RCODE.SERVFAIL && rcode !== RCODE.REFUSED) return answer;
    refusal = answer;
  }
  return refusal;
}

/** A whole answer where there is one: what does not fit into a datagram is asked for again over TCP. */
async function tryOne(
  server: ServerAddress,
  query: UpstreamQuery,
  { ms, clock, signal }: { readonly ms: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<UpstreamAnswer | undefined> {
  const over = new AbortController();
  const until = AbortSignal.any([over.signal, signal]);
  void sleep(ms, clock, until).then(() => over.abort(new Error("No answer in time")));
  let answer: UpstreamAnswer | undefined;
  try {
    answer = await askOverUdp(server, query, until);
    return answer.message.truncated ? await askOverTcp(server, query, until) : answer;
  } catch {
    // Nobody there, or no answer in time; a part of the answer is still one.
    return answer;
  } finally {
    over.abort();
  }
}
