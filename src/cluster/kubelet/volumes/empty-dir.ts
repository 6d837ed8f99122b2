/** `emptyDir` volumes: what they are made of, and how much a memory one may hold (kubernetes `emptydir.go`). */
import type { EmptyDirVolumeSource, PodSpec } from "../../../../generated/kubernetes.ts";
import { quantityOf, wholeValue } from "../../../k8s/quantity.ts";
import { podResourceLimits } from "../resource-limits.ts";
import { VolumeError } from "./volume-error.ts";

/** Throws `VolumeError` for what no machine of ours can give. */
export function isMemory({ medium = "" }: EmptyDirVolumeSource): boolean {
  if (medium === "" || medium === "Memory") return medium === "Memory";
  if (!medium.startsWith("HugePages"))
    throw new VolumeError(`unknown storage medium ${JSON.stringify(medium)}`);
  throw new VolumeError(
    `emptyDir medium "${medium}" is not supported: use "Memory", or leave the medium out`,
  );
}

/**
 * Bytes that a memory volume of this pod holds at most: the least of what the node has, what the pod may use, and the
 * volume's own limit (calculateEmptyDirMemorySize). 0 = no limit is known.
 */
export function memoryVolumeSize(
  { sizeLimit }: Pick<EmptyDirVolumeSource, "sizeLimit">,
  spec: PodSpec,
  allocatable: Readonly<Record<string, string>>,
): number {
  const limits = [allocatable["memory"], sizeLimit].map((text) => bytesOf(text));
  const known = [...limits, podResourceLimits(spec).memory ?? 0].filter((bytes) => bytes > 0);
  return known.length === 0 ? 0 : Math.min(...known);
}

function bytesOf(text: string | undefined): number {
  return text === undefined ? 0 : wholeValue(quantityOf(text));
}
