/**
 * Finds out which entries of a stream Loki refused with 400 while it stored the others. Its texts say how many and why, not
 * always which; what they mean is in Loki's pkg/validation/validate.go, pkg/ingester/stream.go and pkg/util/errors.go.
 */
import { epochNanos } from "../../../lib/rfc3339.ts";
import { shorten } from "./http-sender.ts";
import type { Refusal } from "./sink.ts";

export interface LokiEntry {
  /** Index into the batch. */
  readonly index: number;
  /** Decimal text. */
  readonly nanos: string;
  /** The line as JSON, structured metadata behind it. */
  readonly text: string;
}

/** The ingester: older than half of `max-chunk-age` behind the newest, or out of order. Lists ten entries at most, and the sum. */
const IGNORED = /total ignored: (\d+) out of (\d+) for stream:/;
const LISTED = /entry with timestamp (\S+) (\S+) \+0000 UTC ignored/g;
/** The distributor, once per entry or once with a count. */
const OUTDATED =
  /(?:(\d+) errors like: )?entry for stream '(?:[^']|'(?! has timestamp))*' has timestamp too (old|new): /g;
const TOO_LONG = /(?:(\d+) errors like: )?max entry size '?(\d+)'? bytes exceeded for stream/gi;
/** Every text above begins so; anything else means that something else was refused too. */
const KNOWN = /entry for stream '|max entry size '?\d/gi;

/**
 * The entries that Loki did not take, `entries` being oldest first and one whole request. Undefined where the text does not
 * say enough to be sure: then the batch has to be narrowed down.
 */
export function findRefused(text: string, entries: readonly LokiEntry[]): Refusal[] | undefined {
  const reason = `HTTP 400: ${shorten(text)}`;
  const refused = IGNORED.test(text) ? ignoredByIngester(text, entries) : refusedByDistributor(text, entries);
  return refused?.map(({ index }) => ({ index, isRetryable: false, reason }));
}

/** It compares each entry with the newest that it has: sorted, those too far behind are the first ones. */
function ignoredByIngester(text: string, entries: readonly LokiEntry[]): readonly LokiEntry[] | undefined {
  const [, ignored = "", total = ""] = IGNORED.exec(text) ?? [];
  const count = Number(ignored);
  // Loki splits busy streams over shards: then the sum is that of one shard.
  if (Number(total) !== entries.length || count > entries.length) return undefined;
  const refused = entries.slice(0, count);
  const nanos = new Set(refused.map((entry) => entry.nanos));
  const isListed = [...text.matchAll(LISTED)].every(([, date, clock]) =>
    nanos.has(epochNanos(`${date}T${clock}Z`) ?? ""),
  );
  return isListed ? refused : undefined;
}

/** One limit for the whole request: too old ones come first, too new ones last, too long ones are known by their length. */
function refusedByDistributor(text: string, entries: readonly LokiEntry[]): readonly LokiEntry[] | undefined {
  const outdated = [...text.matchAll(OUTDATED)];
  const tooLong = [...text.matchAll(TOO_LONG)];
  if (outdated.length + tooLong.length === 0) return undefined;
  if ([...text.matchAll(KNOWN)].length !== outdated.length + tooLong.length) return undefined;
  const old = sum(outdated.filter(([, , which]) => which === "old"));
  const fresh = sum(outdated.filter(([, , which]) => which === "new"));
  const limit = Math.min(...tooLong.map(([, , bytes]) => Number(bytes)));
  const long = entries.filter((entry) => lineBytes(entry) > limit);
  if (long.length !== sum(tooLong) || old + fresh > entries.length) return undefined;
  // The age is looked at first: an entry that is too old and too long is counted as too old, and cannot be told apart.
  if (long.length > 0 && old + fresh > 0) return undefined;
  return [...entries.slice(0, old), ...entries.slice(entries.length - fresh), ...long];
}

function sum(matches: readonly RegExpExecArray[]): number {
  return matches.reduce((total, [, count]) => total + (count === undefined ? 1 : Number(count)), 0);
}

/** Bytes of the line as Loki counts them, structured metadata included. */
function lineBytes({ text }: LokiEntry): number {
  const [line, metadata] = JSON.parse(`[${text}]`) as [string, Readonly<Record<string, string>>?];
  const pairs = Object.entries(metadata ?? {});
  return pairs.reduce(
    (bytes, [key, value]) => bytes + Buffer.byteLength(key + value),
    Buffer.byteLength(line),
  );
}

/** Orders times since the epoch given as decimal text. */
export function compareNanos(a: string, b: string): number {
  if (a.length === b.length && !a.startsWith("-") && !b.startsWith("-")) return a < b ? -1 : a > b ? 1 : 0;
  return Number(BigInt(a) - BigInt(b));
}
