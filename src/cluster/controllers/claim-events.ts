/** Says in events what becomes of claims and volumes; the same thing of the same object only once. */
import type { Clock } from "../../kernel/clock.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { createEventRecorder, referenceTo } from "../store/event-recorder.ts";
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
  const events = createEventRecorder({ store, clock, component: COMPONENT, host: "" });
  const last = new Map<string, string>();
  return (about, said) => {
    const { uid = "" } = about.metadata;
    const text = `${said.reason}\0${said.message}`;
    if (last.get(uid) === text) return;
    last.delete(uid);
    last.set(uid, text);
    const [oldest] = last.keys();
    if (last.size > MAX_REMEMBERED && oldest !== undefined) last.delete(oldest);
    events.record({ about: referenceTo(about), ...said });
  };
}
