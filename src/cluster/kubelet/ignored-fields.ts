/** Says which fields of a pod this node does not act on yet, so that nobody waits for them. */
import type { Container } from "../../../generated/kubernetes.ts";
import type { StoredPod } from "../../k8s/pod.ts";
import type { EventRecorder } from "./event-recorder.ts";
import { podEvent } from "./pod-events.ts";

const CONTAINER_FIELDS = ["startupProbe", "livenessProbe", "readinessProbe", "tty", "stdin"] as const;
const POD_FIELDS = ["shareProcessNamespace", "hostPID", "hostIPC", "runtimeClassName"] as const;

/** One Warning event with all of them. */
export function reportIgnoredFields(recorder: EventRecorder, pod: StoredPod): void {
  if (pod.metadata.deletionTimestamp !== undefined || pod.status?.startTime !== undefined) return;
  const fields = ignoredFields(pod);
  if (fields.length === 0) return;
  const message = `Not acted on yet, the pod runs without: ${fields.join(", ")}`;
  podEvent(recorder, pod, { type: "Warning", reason: "FieldIgnored", message });
}

export function ignoredFields({ spec }: StoredPod): string[] {
  const ofPod = POD_FIELDS.filter((field) => spec[field] !== undefined && spec[field] !== false);
  const lists = [
    ["initContainers", spec.initContainers ?? []],
    ["containers", spec.containers],
  ] as const;
  return [
    ...ofPod.map((field) => `spec.${field}`),
    ...lists.flatMap(([list, containers]) =>
      containers.flatMap((container, index) =>
        ignoredOf(container).map((field) => `spec.${list}[${index}].${field}`),
      ),
    ),
  ];
}

function ignoredOf(container: Container): string[] {
  return CONTAINER_FIELDS.filter((field) => container[field] !== undefined && container[field] !== false);
}
