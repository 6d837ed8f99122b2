/** One page of a list: which version it shows, what stands on it, how to go on (`etcd3/store.go` GetList). */
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { badRequest, versionTooLarge } from "./api-errors.ts";
import { prefixOf, type Collection, type Key } from "./collection.ts";
import { AT_NEWEST, decodeContinue, encodeContinue, keyAfter } from "./pagination.ts";
import { parseVersion } from "./resource-version.ts";
import type { ListQuery, ListResult } from "./store.ts";

const LIST_EXPIRED = "The resourceVersion for the provided list is too old.";
const CONTINUE_EXPIRED =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without " +
  "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
  "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or " +
  "deleted between the time the first chunk was returned and now may show up in the list.";

/** Carries a token with which the client may go on at the newest version, if it can live with that. */
class ContinueExpired extends StatusError {
  readonly #token: string;

  constructor(token: string) {
    super("Expired", CONTINUE_EXPIRED);
    this.#token = token;
  }

  override toStatus(): Record<string, unknown> {
    return { ...super.toStatus(), metadata: { continue: this.#token } };
  }
}

interface Source {
  readonly newest: number;
  /** The oldest version that `collectionAt` can rebuild. */
  readonly oldest: number;
  readonly collectionAt: (version: number) => Collection;
}

export function listPage(query: ListQuery, source: Source): ListResult {
  const { version, from } = startOf(query, source);
  const { items, last, remaining } = takePage(source.collectionAt(version), from, query);
  const resourceVersion = String(version);
  if (last === undefined) return { items, resourceVersion };
  return {
    items,
    resourceVersion,
    continue: encodeContinue({ version, from: keyAfter(last) }),
    ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
  };
}

function startOf(query: ListQuery, source: Source): { readonly version: number; readonly from: Key } {
  if (query.continue === undefined || query.continue === "") {
    return { version: versionOf(query, source), from: "" };
  }
  const { version, from } = decodeContinue(query.continue);
  if (parseVersion(query.resourceVersion) !== 0) {
    throw badRequest("specifying resource version is not allowed when using continue");
  }
  if (version === AT_NEWEST) return { version: source.newest, from };
  if (version > source.newest) throw versionTooLarge(version, source.newest);
  if (version >= source.oldest) return { version, from };
  throw new ContinueExpired(encodeContinue({ version: AT_NEWEST, from }));
}

/** Memory holds the newest state, which is "not older than" anything that was; only `Exact` looks back. */
function versionOf({ resourceVersion, resourceVersionMatch, limit = 0 }: ListQuery, source: Source): number {
  const wanted = parseVersion(resourceVersion);
  if (wanted > source.newest) throw versionTooLarge(wanted, source.newest);
  // A version with a limit and no match meant an exact version before the match existed, and still does.
  const isExact = resourceVersionMatch === "Exact" || (resourceVersionMatch === undefined && limit > 0);
  if (wanted === 0 || !isExact) return source.newest;
  if (wanted < source.oldest) throw new StatusError("Expired", LIST_EXPIRED);
  return wanted;
}

interface Page {
  readonly items: readonly KubeObject[];
  /** Key of the last item, when others follow. */
  readonly last?: Key;
  /** Only counted where nothing is selected, as on the real server. */
  readonly remaining?: number;
}

function takePage(collection: Collection, from: Key, { namespace, matches, limit = 0 }: ListQuery): Page {
  const items: KubeObject[] = [];
  let last: Key | undefined;
  let remaining = 0;
  for (const [key, object] of collection.entries(prefixOf(namespace), from)) {
    if (matches !== undefined && !matches(object)) continue;
    if (limit > 0 && items.length === limit) {
      remaining += 1;
      if (matches !== undefined) break;
      continue;
    }
    items.push(object);
    last = key;
  }
  if (remaining === 0 || last === undefined) return { items };
  return { items, last, ...(matches === undefined ? { remaining } : {}) };
}
