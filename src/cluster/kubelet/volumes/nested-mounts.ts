/** Mount points inside volumes that are read-only for everybody: they have to be there before (MakeNestedMountpoints). */
import { join, normalize } from "node:path";
import type { PodSpec } from "../../../../generated/kubernetes.ts";
import { makeFolderInside } from "../../../lib/inside.ts";
import { VolumeError } from "./volume-error.ts";

/** Folders below the volume's root at which some container mounts another volume directly inside this one. */
export function nestedMountPoints(volume: string, spec: PodSpec): string[] {
  const found = new Set<string>();
  for (const { volumeMounts = [] } of [...(spec.initContainers ?? []), ...spec.containers]) {
    const places = volumeMounts.map(({ name, mountPath, subPath, subPathExpr }) => ({
      name,
      isWhole: !subPath && !subPathExpr,
      at: join(normalize(`/${mountPath}`), "/"),
    }));
    for (const outer of places) {
      if (outer.name !== volume || !outer.isWhole) continue;
      const inner = places.filter(({ at }) => at !== outer.at && at.startsWith(outer.at));
      for (const { at } of inner) {
        const isDeeper = inner.some((other) => other.at !== at && at.startsWith(other.at));
        if (!isDeeper) found.add(at.slice(outer.at.length, -1));
      }
    }
  }
  return [...found].sort();
}

/** Throws `VolumeError` for a place among the volume's own files. */
export function makeNestedMountPoints(root: string, points: readonly string[]): void {
  for (const point of points) {
    if (point.startsWith(".."))
      throw new VolumeError(`invalid mount point "${point}" inside the volume: it must not start with ".."`);
    makeFolderInside(root, point, 0o755);
  }
}
