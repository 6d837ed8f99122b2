/** Small questions about a Pod's specification that several rooms ask. */
import type { Container, Pod, PodSpec } from "../../generated/kubernetes.ts";
import type { KubeObject } from "./object.ts";

/** A Pod as the API stores it: named, with a specification that has passed validation. */
export interface StoredPod extends Pod {
  readonly metadata: NonNullable<Pod["metadata"]> & {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
  };
  readonly spec: PodSpec;
}

/** The object as a Pod. The API validates on the way in, so a missing part is a bug of ours. */
export function asPod(object: KubeObject): StoredPod {
  const pod = object as Pod;
  const { name, namespace, uid } = pod.metadata ?? {};
  if (!name || !namespace || !uid || pod.spec === undefined)
    throw new TypeError(`Not a stored Pod: ${object.kind} "${namespace ?? ""}/${name ?? ""}"`);
  return pod as StoredPod;
}

/** An init container that keeps running beside the main ones (KEP-753: `restartPolicy: Always`). */
export function isSidecar(initContainer: Container): boolean {
  return initContainer.restartPolicy === "Always";
}

/** `SystemCriticalPriority`: a pod that the node cannot do without (kubelet types.IsCriticalPodBasedOnPriority). */
const CRITICAL_PRIORITY = 2_000_000_000;

export function isCriticalPod({ priority = 0 }: PodSpec): boolean {
  return priority >= CRITICAL_PRIORITY;
}

/** Whether the pod has come to its end, so that only its removal is left (podutil.IsPodTerminal). */
export function isFinished({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** Whether it says of itself that it may be sent traffic (podutil.IsPodReady). */
export function isPodReady({ status }: Pod): boolean {
  return (status?.conditions ?? []).some(({ type, status: value }) => type === "Ready" && value === "True");
}

/** `NAME_NAMESPACE(UID)`, as the kubelet names pods in messages (format.Pod). */
export function describePod({ metadata: { name, namespace, uid } }: StoredPod): string {
  return `${name}_${namespace}(${uid})`;
}

/** Path of a container in events' `involvedObject.fieldPath` (kubecontainer.fieldPath). */
export function containerFieldPath(spec: PodSpec, containerName: string): string {
  if (spec.containers.some(({ name }) => name === containerName)) return `spec.containers{${containerName}}`;
  if (spec.initContainers?.some(({ name }) => name === containerName))
    return `spec.initContainers{${containerName}}`;
  return `spec.ephemeralContainers{${containerName}}`;
}
