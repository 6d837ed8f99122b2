/** Removes Events an hour after they were last written, as the real server's `--event-ttl` does. */
import type { Clock } from "../../kernel/clock.ts";
import type { GroupResource, KubeObject, ObjectName } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";
import type { Store } from "../store/store.ts";

const TTL_MS = 3_600_000;
/** Before an Event that could not be removed is tried again. */
const RETRY_MS = 60_000;

export interface EventExpiryParts {
  readonly store: Store;
  readonly clock: Clock;
  /** @default {"events"} */
  readonly resource?: GroupResource;
  /** @default {one hour} */
  readonly ttlMs?: number;
}

interface Expiry {
  readonly at: ObjectName;
  readonly uid: string;
  readonly expiresAt: number;
}

/** Watches until the returned function is called. */
export function startEventExpiry({
  store,
  clock,
  resource = "events",
  ttlMs = TTL_MS,
}: EventExpiryParts): () => void {
  /** By uid. Every write puts an Event at the end, so that the first one expires first. */
  const expiries = new Map<string, Expiry>();
  let cancel: (() => void) | undefined;
  let isExpiring = false;

  function note(object: KubeObject, writtenAt: number): void {
    const { uid = "", namespace = "", name = "" } = object.metadata;
    expiries.delete(uid);
    expiries.set(uid, { uid, at: { namespace, name }, expiresAt: writtenAt + ttlMs });
  }

  function arm(): void {
    if (cancel !== undefined || isExpiring) return;
    const [first] = expiries.values();
    if (first !== undefined) cancel = clock.schedule(Math.max(0, first.expiresAt - clock.now()), expire);
  }

  function expire(): void {
    isExpiring = true;
    try {
      removeDue();
      cancel = undefined;
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      cancel = clock.schedule(RETRY_MS, expire);
    } finally {
      isExpiring = false;
    }
    arm();
  }

  function removeDue(): void {
    for (const { uid, at, expiresAt } of expiries.values()) {
      if (expiresAt > clock.now()) return;
      if (store.get(resource, at)?.metadata.uid === uid) store.delete(resource, at);
      expiries.delete(uid);
    }
  }

  const { items, resourceVersion } = store.list(resource);
  const known = items.map((object) => ({ object, writtenAt: Math.min(lastWrite(object), clock.now()) }));
  for (const { object, writtenAt } of known.sort((a, b) => a.writtenAt - b.writtenAt))
    note(object, writtenAt);
  arm();
  const stop = store.watch(resource, { resourceVersion }, ({ type, object }) => {
    if (type === "DELETED") expiries.delete(object.metadata.uid ?? "");
    else note(object, clock.now());
    arm();
  });
  return () => {
    stop();
    cancel?.();
  };
}

/** The newest time that an Event names, in milliseconds since the epoch: when it was written is not kept. */
function lastWrite({ metadata, ...event }: KubeObject): number {
  const series = isJsonObject(event["series"]) ? event["series"] : {};
  const times = [
    metadata.creationTimestamp,
    event["lastTimestamp"],
    event["eventTime"],
    series["lastObservedTime"],
  ];
  const known = times.map((time) => (typeof time === "string" ? Date.parse(time) : Number.NaN));
  return Math.max(0, ...known.filter((time) => !Number.isNaN(time)));
}
