/** Writes `v1.Event` objects the way client-go's recorder does: counted instead of repeated, limited when they come in floods. */
import type { Event, ObjectReference } from "../../../generated/kubernetes.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import type { KubeObject } from "../../k8s/object.ts";
import type { Clock } from "../../kernel/clock.ts";
import { uniqueNanoseconds } from "../../lib/unique-time.ts";
import type { Store } from "./store.ts";

/** client-go `EventCorrelator` defaults. */
const MAX_BURST = 25;
const REFILL_MS = 300_000;
const SIMILAR_LIMIT = 10;
const SIMILAR_WINDOW_MS = 600_000;
const CACHE_SIZE = 4096;
/** Validation of events/v1: `message` at most 1024 bytes. */
const MESSAGE_LIMIT = 1024;

export interface EventFacts {
  readonly about: ObjectReference;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorder {
  /** Never throws: an event that cannot be written is dropped. */
  record(event: EventFacts): void;
}

interface Written {
  readonly name: string;
  readonly count: number;
  readonly firstTimestamp: string;
}

interface Bucket {
  tokens: number;
  refilledAt: number;
}

interface SimilarGroup {
  readonly messages: Set<string>;
  lastAt: number;
}

export interface RecorderOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly component: string;
  readonly host: string;
}

export function createEventRecorder(options: RecorderOptions): EventRecorder {
  const written = new Map<string, Written>();
  const buckets = new Map<string, Bucket>();
  const similar = new Map<string, SimilarGroup>();
  return {
    record(facts) {
      const now = options.clock.now();
      const event = combineSimilar(similar, { ...facts, message: truncate(facts.message) }, now);
      const key = [...groupKey(event), event.message].join("\0");
      const isAllowed = takeToken(buckets, objectKey(event.about), options.clock.monotonic());
      if (!isAllowed) return;
      try {
        remember(written, key, write(options, event, { known: written.get(key), now }));
      } catch {
        // The namespace is going away, or the store is closing: an event is never worth more than that.
        written.delete(key);
      }
    },
  };
}

function write(
  options: RecorderOptions,
  event: EventFacts,
  context: {
    readonly known: Written | undefined;
    readonly now: number;
  },
): Written {
  const { known, now } = context;
  const at = { namespace: event.about.namespace ?? "default", name: known?.name ?? "" };
  const timestamp = formatTimestamp(now);
  if (known !== undefined && options.store.get("events", at) !== undefined) {
    const count = known.count + 1;
    options.store.update("events", at, (current) => ({ ...current, count, lastTimestamp: timestamp }));
    return { ...known, count };
  }
  const fresh = newEvent(event, options, now);
  options.store.create("events", fresh);
  return { name: fresh.metadata.name ?? "", count: 1, firstTimestamp: timestamp };
}

/** An event that has happened once; `now` in milliseconds since the epoch. */
export function newEvent(
  { about, type, reason, message }: EventFacts,
  { component, host }: Pick<RecorderOptions, "component" | "host">,
  now: number,
): KubeObject {
  const namespace = about.namespace ?? "default";
  const timestamp = formatTimestamp(now);
  // Nanoseconds in hexadecimal, as client-go names events.
  const name = `${about.name ?? "unknown"}.${uniqueNanoseconds(now).toString(16).padStart(16, "0")}`;
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name, namespace },
    involvedObject: about,
    reason,
    message,
    source: host === "" ? { component } : { component, host },
    firstTimestamp: timestamp,
    lastTimestamp: timestamp,
    count: 1,
    type,
    reportingComponent: component,
    reportingInstance: host,
  } satisfies KubeObject & Event;
}

/** `EventAggregator`: more than ten different messages of one kind become one that is counted. */
function combineSimilar(groups: Map<string, SimilarGroup>, event: EventFacts, now: number): EventFacts {
  const key = groupKey(event).join("\0");
  const found = groups.get(key);
  const group =
    found === undefined || now - found.lastAt > SIMILAR_WINDOW_MS
      ? { messages: new Set<string>(), lastAt: now }
      : found;
  group.lastAt = now;
  if (group.messages.size < SIMILAR_LIMIT) group.messages.add(event.message);
  remember(groups, key, group);
  if (group.messages.has(event.message)) return event;
  return { ...event, message: truncate(`(combined from similar events): ${event.message}`) };
}

/** `EventSourceObjectSpamFilter`: a burst of 25 for an object, then one each five minutes. */
function takeToken(buckets: Map<string, Bucket>, key: string, now: number): boolean {
  const bucket = buckets.get(key) ?? { tokens: MAX_BURST, refilledAt: now };
  bucket.tokens = Math.min(MAX_BURST, bucket.tokens + (now - bucket.refilledAt) / REFILL_MS);
  bucket.refilledAt = now;
  remember(buckets, key, bucket);
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

/** Newest last, oldest forgotten. */
function remember<Value>(cache: Map<string, Value>, key: string, value: Value): void {
  cache.delete(key);
  cache.set(key, value);
  if (cache.size <= CACHE_SIZE) return;
  const oldest = cache.keys().next().value;
  if (oldest !== undefined) cache.delete(oldest);
}

function objectKey({ kind = "", namespace = "", name = "", uid = "" }: ObjectReference): string {
  return [kind, namespace, name, uid].join("\0");
}

function groupKey({ about, type, reason }: EventFacts): string[] {
  return [objectKey(about), about.fieldPath ?? "", type, reason];
}

function truncate(message: string): string {
  return message.length <= MESSAGE_LIMIT ? message : `${message.slice(0, MESSAGE_LIMIT - 3)}...`;
}

/** What an event names as its object (client-go `reference.GetReference`). */
export function referenceTo({ apiVersion, kind, metadata }: KubeObject): ObjectReference {
  const { namespace, name = "", uid = "", resourceVersion = "" } = metadata;
  return { apiVersion, kind, name, uid, resourceVersion, ...(namespace === undefined ? {} : { namespace }) };
}
