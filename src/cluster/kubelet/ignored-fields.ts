/** Says which fields of a pod this node does not act on yet, so that nobody waits for them. */
import type { StoredPod } from "../../k8s/pod.ts";
import { ignoredSecurity, unenforcedLimits, withheldCapabilities } from "./ignored-security.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import { podEvent } from "./pod-events.ts";
import { privateHostPaths } from "./volumes/private-host-paths.ts";

const POD_FIELDS = ["hostPID", "hostIPC", "runtimeClassName"] as const;

type Facts = Pick<KubeletContext, "recorder" | "sandbox" | "allowPrivileged" | "node">;

/**
 * One Warning event with all of them, one about limits that nobody enforces, one about capabilities that nobody gets, and one
 * about each folder that is not this machine's.
 */
export function reportIgnoredFields(
  { recorder, sandbox, allowPrivileged, node }: Facts,
  pod: StoredPod,
): void {
  if (pod.metadata.deletionTimestamp !== undefined || pod.status?.startTime !== undefined) return;
  const fields = [...ignoredFields(pod), ...ignoredSecurity(pod)];
  const messages = [
    ...(fields.length === 0 ? [] : [`Not acted on yet, the pod runs without: ${fields.join(", ")}`]),
    ...unenforcedLimits(pod, sandbox.tier),
    ...(allowPrivileged ? [] : withheldCapabilities(pod)),
  ];
  for (const message of messages)
    podEvent(recorder, pod, { type: "Warning", reason: "FieldIgnored", message });
  for (const message of privateHostPaths(pod, node))
    podEvent(recorder, pod, { type: "Warning", reason: "HostPathNotShared", message });
}

export function ignoredFields({ spec }: StoredPod): string[] {
  const ofPod = POD_FIELDS.filter((field) => spec[field] !== undefined && spec[field] !== false);
  return ofPod.map((field) => `spec.${field}`);
}
