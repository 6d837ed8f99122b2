/**
 * Keeps the name of a pod free for a moment after somebody else has deleted it. `kubectl delete` asks for the name again
 * before it watches it; a successor that is there by then is taken for the pod that is to go, and kubectl waits for ever.
 * A cluster takes a second or two to end a pod, here it may be gone in ten milliseconds.
 */
import type { KubeObject } from "../../../k8s/object.ts";
import type { Clock } from "../../../kernel/clock.ts";
import { keyOf } from "../../../k8s/object-name.ts";

/** Between the two questions of kubectl lie some milliseconds; far more on a busy machine. */
const PAUSE_MS = 500;

export interface NamePause {
  /** The controller deletes this one itself: nobody waits for its name. */
  deleting(pod: KubeObject): void;
  /** It is out of the store. */
  gone(pod: KubeObject): void;
  /** Milliseconds until the name may be taken; 0 for now. */
  leftMs(pod: KubeObject): number;
}

export function createNamePause(clock: Clock): NamePause {
  const own = new Set<string>();
  const until = new Map<string, number>();
  return {
    deleting({ metadata: { uid = "" } }) {
      own.add(uid);
    },
    gone(pod) {
      const now = clock.monotonic();
      for (const [name, end] of until) if (end <= now) until.delete(name);
      if (!own.delete(pod.metadata.uid ?? "")) until.set(keyOf(pod.metadata), now + PAUSE_MS);
    },
    leftMs: (pod) => Math.max(0, (until.get(keyOf(pod.metadata)) ?? 0) - clock.monotonic()),
  };
}
