/** Says which fields of a pod this node does not act on yet, so that nobody waits for them. */
import type { StoredPod } from "../../k8s/pod.ts";
import type { Tier } from "../sandbox/sandbox.ts";
import type { EventRecorder } from "./event-recorder.ts";
import { ignoredSecurity, unenforcedLimits } from "./ignored-security.ts";
import { podEvent } from "./pod-events.ts";

const POD_FIELDS = ["hostPID", "hostIPC", "runtimeClassName"] as const;

/** One Warning event with all of them, and one about limits that nobody enforces. */
export function reportIgnoredFields(recorder: EventRecorder, pod: StoredPod, tier: Tier): void {
  if (pod.metadata.deletionTimestamp !== undefined || pod.status?.startTime !== undefined) return;
  const fields = [...ignoredFields(pod), ...ignoredSecurity(pod)];
  const messages = [
    ...(fields.length === 0 ? [] : [`Not acted on yet, the pod runs without: ${fields.join(", ")}`]),
    ...unenforcedLimits(pod, tier),
  ];
  for (const message of messages)
    podEvent(recorder, pod, { type: "Warning", reason: "FieldIgnored", message });
}

export function ignoredFields({ spec }: StoredPod): string[] {
  const ofPod = POD_FIELDS.filter((field) => spec[field] !== undefined && spec[field] !== false);
  return ofPod.map((field) => `spec.${field}`);
}
