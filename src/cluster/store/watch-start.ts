/** What a watch is told before anything new happens: the present, the past since its version, or nothing. */
import { StatusError } from "../../k8s/status-error.ts";
import { versionTooLarge } from "./api-errors.ts";
import { prefixOf, type Collection } from "./collection.ts";
import type { Change } from "./history.ts";
import { apiVersionOf, type ResourceDescription } from "./resource-lookup.ts";
import { parseVersion } from "./resource-version.ts";
import type { Selection, WatchEvent, WatchQuery } from "./store.ts";
import { eventFor } from "./watchers.ts";

/** KEP-3157: on the bookmark that ends the initial events. */
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

interface Present {
  readonly description: ResourceDescription;
  readonly version: number;
  /** The oldest version from which `since` knows everything. */
  readonly oldest: number;
  readonly objects: Collection;
  readonly since: (version: number) => Iterable<Change>;
}

/** Throws `Expired` for a version that history no longer reaches, `Timeout` for one that has not been written yet. */
export function firstEvents(query: WatchQuery, present: Present): WatchEvent[] {
  const wanted = parseVersion(query.resourceVersion);
  if (wanted > present.version) throw versionTooLarge(wanted, present.version);
  if (query.sendInitialEvents === true) return [...additions(query, present.objects), bookmark(present)];
  if (wanted === 0) return query.sendInitialEvents === false ? [] : [...additions(query, present.objects)];
  if (wanted < present.oldest) {
    throw new StatusError("Expired", `too old resource version: ${wanted} (${present.oldest})`);
  }
  const events: WatchEvent[] = [];
  for (const change of present.since(wanted)) {
    const event = eventFor(change, query);
    if (event !== undefined) events.push(event);
  }
  return events;
}

function* additions({ namespace, matches }: Selection, objects: Collection): Generator<WatchEvent> {
  for (const [, object] of objects.entries(prefixOf(namespace))) {
    if (matches === undefined || matches(object)) yield { type: "ADDED", object };
  }
}

function bookmark({ description, version }: Present): WatchEvent {
  const metadata = { resourceVersion: String(version), annotations: { [INITIAL_EVENTS_END]: "true" } };
  return {
    type: "BOOKMARK",
    object: { kind: description.kind, apiVersion: apiVersionOf(description), metadata },
  };
}
