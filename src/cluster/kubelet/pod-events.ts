/** Events about a pod and its containers, in the kubelet's words. */
import type { ObjectReference } from "../../../generated/kubernetes.ts";
import { containerFieldPath, type StoredPod } from "../../k8s/pod.ts";
import type { EventFacts, EventRecorder } from "../store/event-recorder.ts";

type Told = Pick<EventFacts, "type" | "reason" | "message">;

export function podReference({ apiVersion, metadata }: StoredPod, fieldPath?: string): ObjectReference {
  const { namespace, name, uid, resourceVersion } = metadata;
  return {
    kind: "Pod",
    namespace,
    name,
    uid,
    apiVersion: apiVersion ?? "v1",
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(fieldPath === undefined ? {} : { fieldPath }),
  };
}

export function podEvent(recorder: EventRecorder, pod: StoredPod, told: Told): void {
  recorder.record({ about: podReference(pod), ...told });
}

export function containerEvent(
  recorder: EventRecorder,
  { pod, name }: { readonly pod: StoredPod; readonly name: string },
  told: Told,
): void {
  recorder.record({ about: podReference(pod, containerFieldPath(pod.spec, name)), ...told });
}
