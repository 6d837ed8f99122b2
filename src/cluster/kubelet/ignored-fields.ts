/** Says which fields of a pod this node does not act on yet, so that nobody waits for them. */
import type { StoredPod } from "../../k8s/pod.ts";
import { ignoredSecurity, unenforcedLimits, withheldCapabilities } from "./ignored-security.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { podEvent } from "./pod-events.ts";

const POD_FIELDS = ["hostPID", "hostIPC", "runtimeClassName"] as const;

type Facts = Pick<KubeletContext, "recorder" | "sandbox" | "allowPrivileged">;

/** One Warning event with all of them, one about limits that nobody enforces, one about capabilities that nobody gets. */
export function reportIgnoredFields({ recorder, sandbox, allowPrivileged }: Facts, pod: StoredPod): void {
  if (pod.metadata.deletionTimestamp !== undefined || pod.status?.startTime !== undefined) return;
  const fields = [...ignoredFields(pod), ...ignoredSecurity(pod)];
  const messages = [
    ...(fields.length === 0 ? [] : [`Not acted on yet, the pod runs without: ${fields.join(", ")}`]),
    ...unenforcedLimits(pod, sandbox.tier),
    ...(allowPrivileged ? [] : withheldCapabilities(pod)),
  ];
  for (const message of messages)
    podEvent(recorder, pod, { type: "Warning", reason: "FieldIgnored", message });
}

export function ignoredFields({ spec }: StoredPod): string[] {
  const ofPod = POD_FIELDS.filter((field) => spec[field] !== undefined && spec[field] !== false);
  return ofPod.map((field) => `spec.${field}`);
}
