/** Makes a container that ended wait before its next start, and says so (kubelet doBackOff). */
import type { Container } from "../../../generated/kubernetes.ts";
import type { ContainerEnd } from "../../k8s/container-status.ts";
import { describePod } from "../../k8s/pod.ts";
import { backoffLeft, goDuration, nextBackoff } from "./crash-backoff.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { containerEvent } from "./pod-events.ts";
import type { ContainerRecord, PodState } from "./pod-state.ts";

interface StartingPod {
  readonly context: Pick<KubeletContext, "clock" | "backoff" | "recorder">;
  readonly state: PodState;
}

/** Milliseconds this start has to wait; 0 = it goes ahead, and the next one will wait longer. */
export function crashBackoff({ context, state }: StartingPod, container: Container): number {
  const record = state.record(container.name);
  const end = endToCountFrom(record);
  if (end === undefined) return 0;
  const key = backoffKey(container);
  const entry = state.crashBackoff.get(key);
  const endedAt = state.endedAt(end, context.clock);
  const now = context.clock.monotonic();
  const leftMs = backoffLeft(entry, endedAt, now);
  if (leftMs === 0) {
    state.crashBackoff.set(key, nextBackoff(entry, { endedAt, now }, context.backoff));
    return 0;
  }
  const pod = describePod(state.pod);
  const delay = goDuration(entry?.delayMs ?? leftMs);
  record.failure = {
    reason: "CrashLoopBackOff",
    message: `back-off ${delay} restarting failed container=${container.name} pod=${pod}`,
  };
  const instance = record.current?.id ?? "";
  if (record.reportedBackoffOf !== instance) {
    record.reportedBackoffOf = instance;
    const message = `Back-off restarting failed container ${container.name} in pod ${pod}`;
    const about = { pod: state.pod, name: container.name };
    containerEvent(context.recorder, about, { type: "Warning", reason: "BackOff", message });
  }
  if (!record.isBeingReplaced || record.hasMissedItsTurn) return leftMs;
  // From now on the delay counts from the end of the instance that was stopped.
  record.hasMissedItsTurn = true;
  return crashBackoff({ context, state }, container);
}

/** GetBackoffKey: another image or other resources start afresh. */
function backoffKey({ name, image, resources }: Container): string {
  return JSON.stringify([name, image, resources]);
}

/**
 * The end from which the delay counts; `undefined` = there is nothing to wait for. A container that we stop and start in
 * one go is judged by the instance before: at the decision, the present one had not ended.
 */
function endToCountFrom(record: ContainerRecord): ContainerEnd | undefined {
  const { current, previous, isBeingReplaced, hasMissedItsTurn } = record;
  if (isBeingReplaced && hasMissedItsTurn !== true) return previous?.end;
  return current?.end;
}
