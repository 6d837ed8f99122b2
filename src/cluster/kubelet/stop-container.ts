/** Signals to containers that have to end: one that is replaced, or all of a pod. */
import { SIGKILL } from "./stop-signal.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { containerEvent, podEvent } from "./pod-events.ts";
import type { ContainerRecord, PodState } from "./pod-state.ts";
import { terminationStep } from "./termination.ts";

const SIGTERM = 15;
const DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline";
const MINIMUM_GRACE_MS = 2000;

/** Stops the containers that are replaced on their own; milliseconds until SIGKILL is due for one of them. */
export function stopReplaced({ clock }: KubeletContext, state: PodState): number | undefined {
  const now = clock.monotonic();
  let wakeInMs: number | undefined;
  for (const record of state.containers.values()) {
    const { stopping, running } = record;
    if (running === undefined || stopping === undefined) continue;
    if (stopping.signaledAt === undefined) signal(record, now);
    const killAt = (stopping.signaledAt ?? now) + Math.max(MINIMUM_GRACE_MS, stopping.graceMs ?? 0);
    if (now >= killAt) kill(record);
    else wakeInMs = Math.min(wakeInMs ?? Number.POSITIVE_INFINITY, killAt - now);
  }
  return wakeInMs;
}

/** The next step of the pod's termination; `isDone` when nothing runs. */
export function stopAll(
  { clock, recorder }: KubeletContext,
  state: PodState,
): { readonly isDone: boolean; readonly wakeInMs?: number } {
  const { termination } = state;
  if (termination === undefined) return { isDone: false };
  announce(recorder, state);
  const now = clock.monotonic();
  const containers = state.stoppingContainers();
  const step = terminationStep(state.pod.spec, termination, { containers, now });
  for (const name of step.signal) signal(state.record(name), now);
  for (const name of step.kill) kill(state.record(name));
  return step;
}

/** All `Killing` events come at the beginning, also of those who wait for their turn. */
function announce(recorder: KubeletContext["recorder"], state: PodState): void {
  for (const [name, record] of state.containers) {
    if (record.running === undefined || record.stopping !== undefined) continue;
    record.stopping = { isKilled: false };
    containerEvent(
      recorder,
      { pod: state.pod, name },
      { type: "Normal", reason: "Killing", message: `Stopping container ${name}` },
    );
  }
}

function signal(record: ContainerRecord, now: number): void {
  record.stopping = { isKilled: false, ...record.stopping, signaledAt: now };
  record.running?.kill(record.stopSignal ?? SIGTERM);
}

function kill(record: ContainerRecord): void {
  if (record.stopping?.isKilled === true) return;
  record.stopping = { ...record.stopping, isKilled: true };
  record.running?.kill(SIGKILL);
}

/** Refuses a pod for another operating system; its termination has then begun (lifecycle.PodOSNotSupported). */
export function rejectPod({ clock, recorder }: KubeletContext, state: PodState): boolean {
  const os = state.pod.spec.os?.name;
  if (os === undefined || os === "linux") return false;
  const reason = "PodOSNotSupported";
  const message = "Failed to admit pod as the OS field doesn't match node OS";
  podEvent(recorder, state.pod, { type: "Warning", reason, message });
  state.beginTermination(
    0,
    { kind: "rejected", status: { phase: "Failed", reason, message } },
    clock.monotonic(),
  );
  return true;
}

/** Milliseconds until `activeDeadlineSeconds` is over; when it is, the pod's termination has begun. */
export function deadlineLeft(
  { clock, recorder }: KubeletContext,
  state: PodState,
): number | "passed" | undefined {
  const { activeDeadlineSeconds, terminationGracePeriodSeconds = 30 } = state.pod.spec;
  const startTime = Date.parse(state.pod.status?.startTime ?? "");
  if (activeDeadlineSeconds === undefined || Number.isNaN(startTime)) return undefined;
  const leftMs = startTime + activeDeadlineSeconds * 1000 - clock.now();
  if (leftMs > 0) return leftMs;
  const reason = "DeadlineExceeded";
  podEvent(recorder, state.pod, { type: "Normal", reason, message: DEADLINE_MESSAGE });
  state.beginTermination(
    terminationGracePeriodSeconds,
    { kind: "deadline", status: { phase: "Failed", reason, message: DEADLINE_MESSAGE } },
    clock.monotonic(),
  );
  return "passed";
}
