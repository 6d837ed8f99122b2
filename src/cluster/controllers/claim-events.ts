/** Says in events what becomes of claims and volumes; the same thing of the same object only once. */
import type { Clock } from "../../kernel/clock.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { formatTimestamp } from "../../k8s/timestamp.ts";
import { uniqueNanoseconds } from "../../lib/unique-time.ts";
import type { Store } from "../store/store.ts";

const COMPONENT = "persistentvolume-controller";
/** Objects that something has been said of; more are forgotten, and would be told again. */
const MAX_REMEMBERED = 4096;

export interface Said {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export type Tell = (about: KubeObject, said: Said) => void;

export function claimEvents(store: Store, clock: Clock): Tell {
  const last = new Map<string, string>();
  return (about, said) => {
    const { uid = "" } = about.metadata;
    const text = `${said.reason}\0${said.message}`;
    if (last.get(uid) === text) return;
    last.delete(uid);
    last.set(uid, text);
    const [oldest] = last.keys();
    if (last.size > MAX_REMEMBERED && oldest !== undefined) last.delete(oldest);
    try {
      store.create("events", eventOf(about, said, clock.now()));
    } catch (error) {
      // The namespace is going away: an event is never worth more than that.
      if (!(error instanceof StatusError)) throw error;
    }
  };
}

function eventOf({ apiVersion, kind, metadata }: KubeObject, said: Said, now: number): KubeObject {
  const { namespace, name = "", uid = "", resourceVersion = "" } = metadata;
  const timestamp = formatTimestamp(now);
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.${uniqueNanoseconds(now).toString(16)}`, namespace: namespace ?? "default" },
    involvedObject: {
      apiVersion,
      kind,
      name,
      uid,
      resourceVersion,
      ...(namespace === undefined ? {} : { namespace }),
    },
    ...said,
    source: { component: COMPONENT },
    firstTimestamp: timestamp,
    lastTimestamp: timestamp,
    count: 1,
    eventTime: null,
    reportingComponent: COMPONENT,
    reportingInstance: "",
  };
}
