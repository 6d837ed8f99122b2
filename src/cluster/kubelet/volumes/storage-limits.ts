/** Whether a pod has written more to the node's disk than it may (kubelet eviction manager localStorageEviction). */
import type { Container, PodSpec, Volume } from "../../../../generated/kubernetes.ts";
import { podLimits } from "../../../k8s/pod-resources.ts";
import { isCriticalPod } from "../../../k8s/pod.ts";
import { formatQuantity, quantityOf, wholeValue } from "../../../k8s/quantity.ts";

const STORAGE = "ephemeral-storage";

/** Bytes on disk; whoever measures may stop above `enough`. */
export interface StorageUse {
  volume(name: string, enough: number): Promise<number>;
  /** Logs and what the container has written to its own root. */
  container(name: string, enough: number): Promise<number>;
}

/** The pod has to be measured. */
export function hasStorageLimit(spec: PodSpec): boolean {
  if (isCriticalPod(spec)) return false;
  return (
    (spec.volumes ?? []).some((volume) => sizeLimitOf(volume) !== undefined) || podLimit(spec) !== undefined
  );
}

/** The kubelet's message, or undefined while all is within its limits. */
export async function whyEvicted(spec: PodSpec, use: StorageUse): Promise<string | undefined> {
  return (
    (await volumeExcess(spec.volumes ?? [], use)) ??
    (await podExcess(spec, use)) ??
    (await containerExcess(spec.containers, use))
  );
}

/** Of a volume on disk: memory holds no more than it may. */
function sizeLimitOf({ emptyDir }: Volume): number | undefined {
  if (emptyDir?.sizeLimit === undefined || (emptyDir.medium ?? "") !== "") return undefined;
  const bytes = wholeValue(quantityOf(emptyDir.sizeLimit));
  return bytes > 0 ? bytes : undefined;
}

async function volumeExcess(volumes: readonly Volume[], use: StorageUse): Promise<string | undefined> {
  for (const volume of volumes) {
    const limit = sizeLimitOf(volume);
    if (limit === undefined || (await use.volume(volume.name, limit)) <= limit) continue;
    const text = formatQuantity(quantityOf(volume.emptyDir?.sizeLimit ?? "0"));
    return `Usage of EmptyDir volume ${JSON.stringify(volume.name)} exceeds the limit ${JSON.stringify(text)}. `;
  }
  return undefined;
}

function podLimit(spec: PodSpec) {
  const limit = podLimits(spec).get(STORAGE);
  return limit === undefined || limit.nanos === 0n ? undefined : limit;
}

/** Volumes on disk count, and all that containers write themselves. */
async function podExcess(spec: PodSpec, use: StorageUse): Promise<string | undefined> {
  const quantity = podLimit(spec);
  if (quantity === undefined) return undefined;
  const limit = wholeValue(quantity);
  const { initContainers = [], containers, volumes = [] } = spec;
  let bytes = 0;
  for (const { name } of [...initContainers, ...containers]) bytes += await use.container(name, limit);
  for (const volume of volumes) if (isOnDisk(volume)) bytes += await use.volume(volume.name, limit);
  if (bytes <= limit) return undefined;
  return `Pod ephemeral local storage usage exceeds the total limit of containers ${formatQuantity(quantity)}. `;
}

/** `IsLocalEphemeralVolume`. */
function isOnDisk({ emptyDir, configMap }: Volume): boolean {
  return configMap !== undefined || (emptyDir !== undefined && (emptyDir.medium ?? "") === "");
}

/** Of main containers only; the others count for the pod. */
async function containerExcess(
  containers: readonly Container[],
  use: StorageUse,
): Promise<string | undefined> {
  for (const { name, resources } of containers) {
    const text = resources?.limits?.[STORAGE];
    const limit = text === undefined ? 0 : wholeValue(quantityOf(text));
    if (text === undefined || limit === 0 || (await use.container(name, limit)) <= limit) continue;
    return `Container ${name} exceeded its local ephemeral storage limit ${JSON.stringify(formatQuantity(quantityOf(text)))}. `;
  }
  return undefined;
}
